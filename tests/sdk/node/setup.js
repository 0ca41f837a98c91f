// Which gateway the suites talk to, and which upstream dialects each SDK reaches. The variables are those of
// ../python/conftest.py.
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const env = process.env;
export const URL = (env.DRAGOMAN_URL ?? 'http://127.0.0.1:8317').replace(/\/+$/, '');
export const KEY = env.DRAGOMAN_KEY ?? 'sk-none';
export const DIRECT = Boolean(env.DRAGOMAN_DIRECT);
export const MODELS = {
  chat: env.MODEL_CHAT ?? 'chat-sim',
  messages: env.MODEL_MESSAGES ?? 'messages-sim',
};

// A red pixel.
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqkL4KAcT9' +
  'GO0U4BxoAAAAAElFTkSuQmCC';

export const openai = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 60_000 });
export const anthropic = new Anthropic({ baseURL: URL, apiKey: KEY, authToken: null, maxRetries: 0, timeout: 60_000 });

export const model = (upstream, play) => MODELS[upstream] + (play ? `-${play}` : '');

/** Runs `body(upstream, streamed)` for every upstream this SDK reaches, whole and streamed. */
export function scenario(name, own, body) {
  each(name, own, [false, true], body);
}

/** Runs `body(upstream)` for every upstream this SDK reaches. */
export function once(name, own, body) {
  each(name, own, [undefined], body);
}

/** Like `once`, for what a gateway must do and an upstream does not. */
export function gatewayOnly(name, own, body) {
  if (!DIRECT) once(name, own, body);
}

function each(name, own, manners, body) {
  for (const upstream of DIRECT ? [own] : ['chat', 'messages']) {
    for (const streamed of manners) {
      const manner = streamed === undefined ? '' : streamed ? ', streamed' : ', whole';
      test(`${name} (to ${upstream}${manner})`, () => body(upstream, streamed));
    }
  }
}
