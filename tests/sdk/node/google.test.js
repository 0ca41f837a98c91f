// The official Google SDK, against upstreams of every dialect.
import assert from 'node:assert/strict';

import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai';

import {
  BOTH,
  DIRECT,
  MODELS,
  PDF,
  PNG,
  THOUGHT,
  URL,
  alone,
  gatewayOnly,
  google,
  model,
  once,
  scenario,
} from './setup.js';

const OWN = 'gemini';
const STRING = { type: Type.STRING };
const declared = (name, properties) => ({ name, description: name, parameters: { type: Type.OBJECT, properties } });
const WEATHER = declared('get_weather', { city: STRING, days: { type: Type.NUMBER } });
const TIME = declared('get_time', { zone: STRING });
const TOOLS = [{ functionDeclarations: [WEATHER, TIME] }];
const PIXEL = { inlineData: { mimeType: 'image/png', data: PNG } };
const user = (...parts) => ({ role: 'user', parts: parts.map((it) => (typeof it === 'string' ? { text: it } : it)) });
const answered = (call, response, parts) => ({ functionResponse: { id: call.id, name: call.name, response, parts } });

/** The whole answer, or the chunks of a stream put together by hand. */
async function ask(streamed, name, contents, config = {}) {
  if (!streamed) {
    const whole = await google.models.generateContent({ model: name, contents, config });
    return folded([whole]);
  }
  const chunks = [];
  for await (const chunk of await google.models.generateContentStream({ model: name, contents, config })) chunks.push(chunk);
  assert.equal(new Set(chunks.map((it) => it.responseId)).size, 1, 'one id for the whole stream');
  assert.ok(chunks.slice(0, -1).every((it) => !it.candidates?.[0]?.finishReason), 'one finish reason, at the end');
  return folded(chunks);
}

function folded(chunks) {
  const parts = chunks.flatMap((it) => it.candidates?.[0]?.content?.parts ?? []);
  const last = chunks.at(-1);
  const texts = (thought) => parts.filter((it) => Boolean(it.thought) === thought).map((it) => it.text ?? '').join('');
  return {
    text: texts(false),
    thought: texts(true),
    calls: parts.filter((it) => it.functionCall).map((it) => it.functionCall),
    turn: { role: 'model', parts: parts.filter((it) => it.text !== '' || it.thoughtSignature) },
    finish: last.candidates?.[0]?.finishReason,
    blocked: last.promptFeedback?.blockReason,
    usage: last.usageMetadata,
    count: chunks.length,
  };
}

scenario('plain text', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to), 'Hello, you');
  assert.deepEqual([answer.text, answer.finish], ['You wrote 10 characters.', 'STOP']);
  const { promptTokenCount, candidatesTokenCount, totalTokenCount, thoughtsTokenCount } = answer.usage;
  assert.equal(totalTokenCount, promptTokenCount + candidatesTokenCount + (thoughtsTokenCount ?? 0));
});

scenario('several turns with a system instruction', OWN, async (to, streamed) => {
  const turns = [user('one'), { role: 'model', parts: [{ text: '1' }] }, user('two!')];
  const answer = await ask(streamed, model(to), turns, { systemInstruction: 'Be brief.' });
  assert.equal(answer.text, 'You wrote 4 characters.');
});

scenario('a chat keeps its turns', OWN, async (to, streamed) => {
  const chat = google.chats.create({ model: model(to) });
  for (const message of ['one', 'two!']) {
    if (!streamed) await chat.sendMessage({ message });
    else for await (const _ of await chat.sendMessageStream({ message }));
  }
  // Every chunk of a stream is a turn of its own to the SDK.
  const said = { user: '', model: '' };
  for (const { role, parts } of chat.getHistory(true)) said[role] += parts.map((it) => it.text ?? '').join('');
  assert.deepEqual(said, { user: 'onetwo!', model: 'You wrote 3 characters.You wrote 4 characters.' });
});

scenario('parallel tools and their results', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to), BOTH, { tools: TOOLS });
  assert.deepEqual(answer.calls.map((it) => [it.name, it.args]), [
    ['get_weather', { city: 'Oslo', days: 2 }],
    ['get_time', { zone: 'CET' }],
  ]);
  const results = answer.calls.map((call, place) => answered(call, { output: ['sunny', 'noon'][place] }));
  const next = await ask(streamed, model(to), [user(BOTH), answer.turn, user(...results)], { tools: TOOLS });
  assert.equal(next.text, 'The tools said: sunny | noon');
});

scenario('tool results with images and errors', OWN, async (to, streamed) => {
  // Of Gemini's own models only the third generation looks at them.
  if (DIRECT) return;
  const name = model(to, to === 'gemini' ? 'budget' : '');
  const { calls, turn } = await ask(streamed, name, BOTH, { tools: TOOLS });
  const results = [answered(calls[0], { output: 'a picture' }, [PIXEL]), answered(calls[1], { error: 'no clock' })];
  const next = await ask(streamed, name, [user(BOTH), turn, user(...results)], { tools: TOOLS });
  assert.match(next.text, /I saw 1 image\./);
});

scenario('tool choice', OWN, async (to, streamed) => {
  const called = async (functionCallingConfig) => {
    const config = { tools: TOOLS, toolConfig: { functionCallingConfig } };
    return (await ask(streamed, model(to), BOTH, config)).calls.map((it) => it.name);
  };
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.NONE }), []);
  const only = { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['get_time'] };
  assert.deepEqual(await called(only), ['get_time']);
  assert.deepEqual(await called({ mode: FunctionCallingConfigMode.ANY }), ['get_weather', 'get_time']);
});

scenario('images', OWN, async (to, streamed) => {
  assert.match((await ask(streamed, model(to), [user(PIXEL, 'Look')])).text, /I saw 1 image\./);
});

scenario('a document', OWN, async (to, streamed) => {
  const document = { inlineData: { mimeType: 'application/pdf', data: PDF } };
  assert.match((await ask(streamed, model(to), [user(document, 'Read')])).text, /I read 1 document\./);
});

scenario('structured output', OWN, async (to, streamed) => {
  const properties = { name: STRING, rivers: { type: Type.ARRAY, items: STRING } };
  const responseSchema = { type: Type.OBJECT, properties, required: ['name', 'rivers'] };
  const responseJsonSchema = {
    type: 'object',
    properties: { name: { type: 'string' }, rivers: { type: 'array', items: { type: 'string' } } },
    required: ['name', 'rivers'],
    additionalProperties: false,
  };
  for (const schema of [{ responseSchema }, { responseJsonSchema }]) {
    const config = { responseMimeType: 'application/json', ...schema };
    const city = JSON.parse((await ask(streamed, model(to), 'A city', config)).text);
    assert.equal(typeof city.name, 'string');
    assert.ok(Array.isArray(city.rivers));
  }
});

scenario('thoughts are kept over turns', OWN, async (to, streamed) => {
  const config = { tools: TOOLS, thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
  const answer = await ask(streamed, model(to), BOTH, config);
  assert.equal(answer.thought, THOUGHT);
  // What a Chat upstream thinks nobody signs.
  if (to !== 'chat') assert.ok(answer.turn.parts.some((it) => it.thoughtSignature));
  const results = answer.calls.map((call) => answered(call, { output: 'fine' }));
  const next = await ask(streamed, model(to), [user(BOTH), answer.turn, user(...results)], config);
  assert.equal(next.text, 'The tools said: fine | fine');
});

scenario('stop sequences', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to, 'stop'), 'count', { stopSequences: [' three'] });
  // Responses has no such thing.
  assert.equal(answer.text, to === 'responses' ? 'one two three four five' : 'one two');
  assert.equal(answer.finish, 'STOP');
});

scenario('usage is what the upstream reported', OWN, async (to, streamed) => {
  const { usage } = await ask(streamed, model(to, 'usage'), 'count');
  assert.deepEqual([usage.promptTokenCount, usage.cachedContentTokenCount, usage.totalTokenCount], [130, 20, 180]);
  // An Anthropic upstream may not tell its thinking apart.
  assert.equal(usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0), 50);
  if (to !== 'messages') assert.equal(usage.thoughtsTokenCount, 15);
});

scenario('a refusal', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to, 'refusal'), 'do evil');
  assert.ok(['SAFETY', 'PROHIBITED_CONTENT'].includes(answer.finish) || answer.blocked, answer.finish);
});

once('a long stream', OWN, async (to) => {
  const answer = await ask(true, model(to, 'long'), 'go on', { maxOutputTokens: 50_000 });
  assert.equal(answer.text, '0123456789'.repeat(2000));
  assert.ok(answer.count >= 2000);
});

once('bytes cut anywhere', OWN, async (to) => {
  assert.equal((await ask(true, model(to, 'shredded'), 'hello')).text, 'Grüße aus Zürich, 世界 🌍, '.repeat(4));
});

scenario('a cut stream raises', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, 'cut'), 'hello'), (it) => !(it instanceof assert.AssertionError));
});

gatewayOnly('a stream that ends early raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'early'), 'hello'), (it) => !(it instanceof assert.AssertionError));
});

once('an error in the stream raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'midstream'), 'hello'), (it) => !(it instanceof assert.AssertionError));
});

scenario('errors before the stream', OWN, async (to, streamed) => {
  const raised = (status) => (it) => {
    assert.ok(it instanceof ApiError, it);
    assert.ok(Array.isArray(status) ? status.includes(it.status) : it.status === status, `${it.status}`);
    return true;
  };
  await assert.rejects(ask(streamed, model(to, '400'), 'hello'), (it) => {
    assert.match(it.message, /does not like/);
    return raised(400)(it);
  });
  await assert.rejects(ask(streamed, model(to, '429'), 'hello'), (it) => {
    const [{ error }] = [JSON.parse(it.message)].flat();
    assert.equal(error.status, 'RESOURCE_EXHAUSTED');
    return raised(429)(it);
  });
  await assert.rejects(ask(streamed, model(to, 'overloaded'), 'hello'), raised([503, 529]));
});

alone('a wrong key', async () => {
  const client = new GoogleGenAI({ apiKey: 'sk-wrong', httpOptions: { baseUrl: URL } });
  const asked = client.models.generateContent({ model: MODELS.gemini, contents: 'hello' });
  await assert.rejects(asked, (it) => it instanceof ApiError && [400, 401, 403].includes(it.status));
});

once('models', OWN, async (to) => {
  const names = [];
  for await (const it of await google.models.list()) names.push(it.name);
  assert.ok(names.includes(`models/${model(to)}`));
  assert.equal((await google.models.get({ model: model(to) })).name, `models/${model(to)}`);
});

once('tokens are counted', OWN, async (to) => {
  const count = async (contents) => (await google.models.countTokens({ model: model(to), contents })).totalTokens;
  assert.ok((await count('Hello')) < (await count('Hello '.repeat(200))));
});

once('leaving in the middle', OWN, async (to) => {
  const leave = new AbortController();
  const config = { abortSignal: leave.signal };
  const stream = await google.models.generateContentStream({ model: model(to, 'slow'), contents: 'hi', config });
  let count = 0;
  for await (const _ of stream) {
    if ((count += 1) === 3) {
      leave.abort();
      break;
    }
  }
  assert.equal((await ask(false, model(to), 'still there?')).finish, 'STOP');
});
