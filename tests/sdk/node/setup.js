// Which gateway the suites talk to, and which upstream dialects each SDK reaches. The variables are those of
// ../python/conftest.py.
import { test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';

const env = process.env;
export const URL = (env.DRAGOMAN_URL ?? 'http://127.0.0.1:8317').replace(/\/+$/, '');
export const KEY = env.DRAGOMAN_KEY ?? 'sk-none';
export const DIRECT = Boolean(env.DRAGOMAN_DIRECT);
export const MODELS = {
  chat: env.MODEL_CHAT ?? 'chat-sim',
  responses: env.MODEL_RESPONSES ?? 'responses-sim',
  messages: env.MODEL_MESSAGES ?? 'messages-sim',
  gemini: env.MODEL_GEMINI ?? 'gemini-sim',
};

// A red pixel.
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqkL4KAcT9' +
  'GO0U4BxoAAAAAElFTkSuQmCC';

/** A page with one word on it. */
export const PDF = pdf();

/** What every dialect's tool calls look like when the polite echo is asked for these two. */
export const BOTH = 'Please call get_weather {"city": "Oslo", "days": 2} and call get_time {"zone": "CET"}';
export const THOUGHT = `The user wrote ${BOTH.length} characters. A short answer will do.`;

export const openai = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 60_000 });
export const anthropic = new Anthropic({ baseURL: URL, apiKey: KEY, authToken: null, maxRetries: 0, timeout: 60_000 });
export const google = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: URL, timeout: 60_000 } });

const vercel = {
  openai: createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY }),
  anthropic: createAnthropic({ baseURL: `${URL}/v1`, apiKey: KEY }),
  google: createGoogleGenerativeAI({ baseURL: `${URL}/v1beta`, apiKey: KEY }),
};

/** The providers of the Vercel AI SDK: the dialect each speaks, and how it makes a model of a name. */
export const PROVIDERS = {
  'openai.chat': { own: 'chat', of: (name) => vercel.openai.chat(name) },
  'openai.responses': { own: 'responses', of: (name) => vercel.openai.responses(name) },
  anthropic: { own: 'messages', of: (name) => vercel.anthropic(name) },
  google: { own: 'gemini', of: (name) => vercel.google(name) },
};

export const model = (upstream, play) => MODELS[upstream] + (play ? `-${play}` : '');

/** Runs `body(upstream, streamed)` for every upstream this SDK reaches, whole and streamed. */
export function scenario(name, own, body) {
  each(name, own, [false, true], body);
}

/** Runs `body(upstream)` for every upstream this SDK reaches. */
export function once(name, own, body) {
  each(name, own, [undefined], body);
}

/** Runs `body()` once: it asks no upstream. */
export const alone = (name, body) => test(name, body);

/** Like `once`, for what a gateway must do and an upstream does not. */
export function gatewayOnly(name, own, body) {
  if (!DIRECT) once(name, own, body);
}

function each(name, own, manners, body) {
  for (const upstream of DIRECT ? [own] : Object.keys(MODELS)) {
    for (const streamed of manners) {
      const manner = streamed === undefined ? '' : streamed ? ', streamed' : ', whole';
      test(`${name} (to ${upstream}${manner})`, () => body(upstream, streamed));
    }
  }
}

/** A document of one page, in base64. */
function pdf() {
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>',
    '<< /Length 37 >>\nstream\nBT /F 24 Tf 20 100 Td (hello) Tj ET \n\nendstream',
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  let file = '%PDF-1.4\n';
  const places = objects.map((it, number) => {
    const place = file.length;
    file += `${number + 1} 0 obj\n${it}\nendobj\n`;
    return `${String(place).padStart(10, '0')} 00000 n \n`;
  });
  const table = `xref\n0 6\n0000000000 65535 f \n${places.join('')}`;
  return btoa(`${file}${table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`);
}
