// The official Anthropic SDK, against upstreams of every dialect.
import assert from 'node:assert/strict';

import Anthropic from '@anthropic-ai/sdk';

import {
  BOTH,
  MODELS,
  PDF,
  PNG,
  THOUGHT,
  URL,
  alone,
  anthropic,
  gatewayOnly,
  model,
  once,
  scenario,
} from './setup.js';

const OWN = 'messages';
const tool = (name, properties) => ({ name, description: name, input_schema: { type: 'object', properties } });
const WEATHER = tool('get_weather', { city: { type: 'string' }, days: { type: 'number' } });
const TIME = tool('get_time', { zone: { type: 'string' } });
const PIXEL = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } };
const user = (content) => ({ role: 'user', content });

async function ask(streamed, name, messages, more = {}) {
  const asked = { model: name, max_tokens: 4096, messages, ...more };
  return streamed ? anthropic.messages.stream(asked).finalMessage() : anthropic.messages.create(asked);
}

const text = (message) => message.content.filter((it) => it.type === 'text').map((it) => it.text).join('');
const calls = (message) => message.content.filter((it) => it.type === 'tool_use');
const result = (call, content, more = {}) => ({ type: 'tool_result', tool_use_id: call.id, content, ...more });

scenario('plain text', OWN, async (to, streamed) => {
  const message = await ask(streamed, model(to), [user('Hello, you')]);
  assert.equal(text(message), 'You wrote 10 characters.');
  assert.deepEqual([message.role, message.stop_reason], ['assistant', 'end_turn']);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

scenario('several turns with a system prompt', OWN, async (to, streamed) => {
  const turns = [user('one'), { role: 'assistant', content: '1' }, user('two!')];
  for (const system of ['Be brief.', [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }]]) {
    assert.equal(text(await ask(streamed, model(to), turns, { system })), 'You wrote 4 characters.');
  }
});

once('the grammar of a stream', OWN, async (to) => {
  const asked = { model: model(to), max_tokens: 4096, messages: [user(BOTH)], tools: [WEATHER, TIME], stream: true };
  const kinds = [];
  let open = null;
  let next = 0;
  for await (const event of await anthropic.messages.create(asked)) {
    if (event.type === 'content_block_start') {
      assert.deepEqual([open, event.index], [null, next]);
      open = event.index;
      next += 1;
    } else if (event.type.startsWith('content_block')) {
      assert.equal(event.index, open);
      if (event.type === 'content_block_stop') open = null;
    } else if (event.type !== 'ping') kinds.push(event.type);
  }
  assert.deepEqual(kinds, ['message_start', 'message_delta', 'message_stop']);
  assert.equal(next, 2);
});

scenario('parallel tools and their results', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const tools = [WEATHER, TIME];
  const message = await ask(streamed, model(to), turns, { tools });
  assert.equal(message.stop_reason, 'tool_use');
  assert.deepEqual(calls(message).map((it) => [it.name, it.input]), [
    ['get_weather', { city: 'Oslo', days: 2 }],
    ['get_time', { zone: 'CET' }],
  ]);
  turns.push({ role: 'assistant', content: message.content });
  turns.push(user(calls(message).map((call, place) => result(call, ['sunny', 'noon'][place]))));
  assert.equal(text(await ask(streamed, model(to), turns, { tools })), 'The tools said: sunny | noon');
});

scenario('tool results with images and errors', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const tools = [WEATHER, TIME];
  const message = await ask(streamed, model(to), turns, { tools });
  const [weather, time] = calls(message);
  turns.push({ role: 'assistant', content: message.content });
  turns.push(user([result(weather, [{ type: 'text', text: 'a picture' }, PIXEL]), result(time, 'no clock', { is_error: true })]));
  assert.match(text(await ask(streamed, model(to), turns, { tools })), /I saw 1 image\./);
});

once('tool arguments come in fragments', OWN, async (to) => {
  const city = 'Llanfair'.repeat(20);
  let fragments = 0;
  const asked = { model: model(to), max_tokens: 4096, messages: [user(`call get_weather {"city": "${city}"}`)], tools: [WEATHER] };
  const message = await anthropic.messages.stream(asked).on('inputJson', () => (fragments += 1)).finalMessage();
  // A Gemini upstream tells a call whole.
  assert.ok(fragments > (to === 'gemini' ? 0 : 5));
  assert.deepEqual(calls(message)[0].input, { city });
});

scenario('tool choice', OWN, async (to, streamed) => {
  const called = async (choice) => {
    const asked = { tools: [WEATHER, TIME], tool_choice: choice };
    return calls(await ask(streamed, model(to), [user(BOTH)], asked)).map((it) => it.name);
  };
  assert.deepEqual(await called({ type: 'none' }), []);
  assert.deepEqual(await called({ type: 'tool', name: 'get_time' }), ['get_time']);
  // Gemini cannot be told to call one at a time.
  assert.deepEqual(await called({ type: 'any', disable_parallel_tool_use: true }), to === 'gemini' ? ['get_weather', 'get_time'] : ['get_weather']);
});

scenario('images', OWN, async (to, streamed) => {
  const message = await ask(streamed, model(to), [user([PIXEL, { type: 'text', text: 'Look' }])]);
  assert.match(text(message), /I saw 1 image\./);
});

scenario('a document', OWN, async (to, streamed) => {
  const document = { type: 'document', title: 'hello', source: { type: 'base64', media_type: 'application/pdf', data: PDF } };
  const message = await ask(streamed, model(to), [user([document, { type: 'text', text: 'Read' }])]);
  assert.match(text(message), /I read 1 document\./);
});

scenario('structured output', OWN, async (to, streamed) => {
  const schema = {
    type: 'object',
    properties: { name: { type: 'string' }, rivers: { type: 'array', items: { type: 'string' } } },
    required: ['name', 'rivers'],
    additionalProperties: false,
  };
  const more = { output_config: { format: { type: 'json_schema', schema } } };
  const city = JSON.parse(text(await ask(streamed, model(to), [user('A city')], more)));
  assert.equal(typeof city.name, 'string');
  assert.ok(Array.isArray(city.rivers));
});

scenario('thinking is kept over turns', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const more = { tools: [WEATHER, TIME], thinking: { type: 'enabled', budget_tokens: 1024 } };
  const message = await ask(streamed, model(to), turns, more);
  const [thought] = message.content;
  assert.equal(thought.type, 'thinking');
  assert.equal(thought.thinking, THOUGHT);
  const signatures = message.content.map((it) => it.signature ?? it.data ?? '').join(' ').trim();
  // What a Chat upstream thinks nobody signs; what the others do is carried in an envelope.
  assert.match(signatures, { messages: /^sim-signature-/, chat: /^$/ }[to] ?? /^dgm1\./);
  turns.push({ role: 'assistant', content: message.content });
  turns.push(user(calls(message).map((call) => result(call, 'fine'))));
  assert.equal(text(await ask(streamed, model(to), turns, more)), 'The tools said: fine | fine');
});

scenario('stop sequences', OWN, async (to, streamed) => {
  const message = await ask(streamed, model(to, 'stop'), [user('count')], { stop_sequences: [' three'] });
  // Responses has no such thing.
  assert.equal(text(message), to === 'responses' ? 'one two three four five' : 'one two');
  if (to === 'messages') assert.deepEqual([message.stop_reason, message.stop_sequence], ['stop_sequence', ' three']);
});

scenario('usage is what the upstream reported', OWN, async (to, streamed) => {
  const { usage } = await ask(streamed, model(to, 'usage'), [user('count')]);
  // Gemini does not tell what was written to its cache.
  const written = to === 'gemini' ? 0 : 10;
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [110 - written, 50]);
  assert.deepEqual([usage.cache_read_input_tokens, usage.cache_creation_input_tokens], [20, written]);
});

scenario('a refusal', OWN, async (to, streamed) => {
  assert.equal((await ask(streamed, model(to, 'refusal'), [user('do evil')])).stop_reason, 'refusal');
});

once('a long stream', OWN, async (to) => {
  let pieces = 0;
  const asked = { model: model(to, 'long'), max_tokens: 50_000, messages: [user('go on')] };
  const message = await anthropic.messages.stream(asked).on('text', () => (pieces += 1)).finalMessage();
  assert.equal(text(message), '0123456789'.repeat(2000));
  assert.ok(pieces >= 2000);
});

once('bytes cut anywhere', OWN, async (to) => {
  assert.equal(text(await ask(true, model(to, 'shredded'), [user('hello')])), 'Grüße aus Zürich, 世界 🌍, '.repeat(4));
});

scenario('a cut stream raises', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, 'cut'), [user('hello')]));
});

gatewayOnly('a stream that ends early raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'early'), [user('hello')]), Anthropic.AnthropicError);
});

once('an error in the stream raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'midstream'), [user('hello')]), Anthropic.AnthropicError);
});

scenario('errors before the stream', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, '400'), [user('hello')]), (it) => {
    assert.ok(it instanceof Anthropic.BadRequestError);
    assert.match(it.message, /does not like/);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, '429'), [user('hello')]), (it) => {
    assert.ok(it instanceof Anthropic.RateLimitError);
    assert.ok(Number(it.headers.get('retry-after')) >= 1);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, 'overloaded'), [user('hello')]), Anthropic.InternalServerError);
});

alone('a wrong key', async () => {
  const client = new Anthropic({ baseURL: URL, apiKey: 'sk-wrong', authToken: null, maxRetries: 0 });
  const asked = { model: MODELS.messages, max_tokens: 10, messages: [user('hello')] };
  await assert.rejects(client.messages.create(asked), Anthropic.AuthenticationError);
});

once('models', OWN, async (to) => {
  const names = [];
  for await (const it of anthropic.models.list()) names.push(it.id);
  assert.ok(names.includes(model(to)));
  assert.equal((await anthropic.models.retrieve(model(to))).id, model(to));
});

once('tokens are counted', OWN, async (to) => {
  const count = async (content) =>
    (await anthropic.messages.countTokens({ model: model(to), messages: [user(content)] })).input_tokens;
  assert.ok((await count('Hello')) < (await count('Hello '.repeat(200))));
});

once('leaving in the middle', OWN, async (to) => {
  const asked = { model: model(to, 'slow'), max_tokens: 50_000, messages: [user('hi')], stream: true };
  const stream = await anthropic.messages.create(asked);
  let count = 0;
  for await (const _ of stream) if ((count += 1) === 5) break;
  assert.ok(stream.controller.signal.aborted);
  assert.equal((await ask(false, model(to), [user('still there?')])).stop_reason, 'end_turn');
});
