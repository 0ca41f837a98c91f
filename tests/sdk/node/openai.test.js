// The official OpenAI SDK, against upstreams of every dialect.
import assert from 'node:assert/strict';

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import {
  BOTH,
  DIRECT,
  KEY,
  MODELS,
  PDF,
  PNG,
  THOUGHT,
  URL,
  alone,
  gatewayOnly,
  model,
  once,
  openai,
  scenario,
} from './setup.js';

const OWN = 'chat';
const tool = (name, properties) => ({
  type: 'function',
  function: { name, description: name, parameters: { type: 'object', properties } },
});
const WEATHER = tool('get_weather', { city: { type: 'string' }, days: { type: 'number' } });
const TIME = tool('get_time', { zone: { type: 'string' } });
const user = (content) => ({ role: 'user', content });

/** Puts a stream together by hand and holds it to its grammar on the way. */
async function fold(stream) {
  const it = { content: '', refusal: '', reasoning: '', calls: [], finish: null, usage: null, count: 0 };
  const ids = new Set();
  let roles = 0;
  for await (const chunk of stream) {
    it.count += 1;
    ids.add(chunk.id);
    it.usage = chunk.usage ?? it.usage;
    for (const { index, delta, finish_reason: finish } of chunk.choices) {
      assert.equal(index, 0);
      roles += delta.role ? 1 : 0;
      it.content += delta.content ?? '';
      it.refusal += delta.refusal ?? '';
      it.reasoning += delta.reasoning_content ?? '';
      for (const call of delta.tool_calls ?? []) {
        if (call.id) {
          assert.equal(call.index, it.calls.length, 'indices are contiguous');
          it.calls.push({ id: call.id, name: call.function.name, arguments: '' });
        }
        it.calls[call.index].arguments += call.function.arguments ?? '';
      }
      if (finish) {
        assert.equal(it.finish, null, 'one finish reason');
        it.finish = finish;
      }
    }
  }
  assert.equal(ids.size, 1, 'one id for the whole stream');
  assert.equal(roles, 1, 'the role is told once');
  assert.ok(it.finish, 'a finish reason came');
  return it;
}

async function ask(streamed, name, messages, more = {}) {
  if (streamed) {
    const options = { include_usage: true };
    return fold(
      await openai.chat.completions.create({ model: name, messages, stream: true, stream_options: options, ...more }),
    );
  }
  const { choices, usage } = await openai.chat.completions.create({ model: name, messages, ...more });
  const [{ message, finish_reason: finish }] = choices;
  return {
    content: message.content ?? '',
    refusal: message.refusal ?? '',
    reasoning: message.reasoning_content ?? '',
    calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, ...call.function })),
    finish,
    usage,
  };
}

const turnOf = (answer) => ({
  role: 'assistant',
  content: answer.content || null,
  tool_calls: answer.calls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  })),
});

scenario('plain text', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to), [user('Hello, you')]);
  assert.equal(answer.content, 'You wrote 10 characters.');
  assert.equal(answer.finish, 'stop');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

scenario('several turns with a system prompt', OWN, async (to, streamed) => {
  for (const role of ['system', 'developer']) {
    const turns = [{ role, content: 'Be brief.' }, user('one'), { role: 'assistant', content: '1' }, user('two!')];
    assert.equal((await ask(streamed, model(to), turns)).content, 'You wrote 4 characters.');
  }
});

scenario('parallel tools and their results', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const tools = [WEATHER, TIME];
  const answer = await ask(streamed, model(to), turns, { tools });
  assert.equal(answer.finish, 'tool_calls');
  assert.deepEqual(answer.calls.map((it) => it.name), ['get_weather', 'get_time']);
  assert.deepEqual(JSON.parse(answer.calls[0].arguments), { city: 'Oslo', days: 2 });
  turns.push(turnOf(answer));
  answer.calls.forEach((call, place) => {
    turns.push({ role: 'tool', tool_call_id: call.id, content: ['sunny', 'noon'][place] });
  });
  assert.equal((await ask(streamed, model(to), turns, { tools })).content, 'The tools said: sunny | noon');
});

once('tool arguments come in fragments, also for the stream helper', OWN, async (to) => {
  const city = 'Llanfair'.repeat(20);
  let fragments = 0;
  const stream = openai.chat.completions
    .stream({ model: model(to), messages: [user(`call get_weather {"city": "${city}"}`)], tools: [WEATHER] })
    .on('tool_calls.function.arguments.delta', () => (fragments += 1));
  const final = await stream.finalChatCompletion();
  // A Gemini upstream tells a call whole.
  assert.ok(fragments > (to === 'gemini' ? 0 : 5));
  assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city });
});

scenario('tool choice', OWN, async (to, streamed) => {
  const called = async (choice, more = {}) => {
    const asked = { tools: [WEATHER, TIME], tool_choice: choice, ...more };
    return (await ask(streamed, model(to), [user(BOTH)], asked)).calls.map((it) => it.name);
  };
  assert.deepEqual(await called('none'), []);
  assert.deepEqual(await called({ type: 'function', function: { name: 'get_time' } }), ['get_time']);
  // Gemini cannot be told to call one at a time.
  assert.deepEqual(await called('required', { parallel_tool_calls: false }), to === 'gemini' ? ['get_weather', 'get_time'] : ['get_weather']);
});

scenario('images', OWN, async (to, streamed) => {
  for (const url of [`data:image/png;base64,${PNG}`, 'https://example.com/a.png']) {
    const parts = [{ type: 'text', text: 'Look' }, { type: 'image_url', image_url: { url } }];
    assert.match((await ask(streamed, model(to), [user(parts)])).content, /I saw 1 image\./);
  }
});

scenario('tool results with images and errors', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const tools = [WEATHER, TIME];
  const answer = await ask(streamed, model(to), turns, { tools });
  turns.push(turnOf(answer));
  // A tool of this dialect answers with text alone; an image follows in the user's turn.
  turns.push({ role: 'tool', tool_call_id: answer.calls[0].id, content: [{ type: 'text', text: 'a picture' }] });
  turns.push({ role: 'tool', tool_call_id: answer.calls[1].id, content: 'error: no clock' });
  assert.equal((await ask(streamed, model(to), turns, { tools })).content, 'The tools said: a picture | error: no clock');
  turns.push(user([{ type: 'text', text: 'here' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }]));
  assert.match((await ask(streamed, model(to), turns, { tools })).content, /I saw 1 image\./);
});

scenario('a document', OWN, async (to, streamed) => {
  const file = { filename: 'hello.pdf', file_data: `data:application/pdf;base64,${PDF}` };
  const parts = [{ type: 'text', text: 'Read' }, { type: 'file', file }];
  assert.match((await ask(streamed, model(to), [user(parts)])).content, /I read 1 document\./);
});

once('structured output', OWN, async (to) => {
  const City = z.object({ name: z.string(), people: z.number().int(), rivers: z.array(z.string()) });
  const asked = { model: model(to), messages: [user('A city')], response_format: zodResponseFormat(City, 'city') };
  const whole = await openai.chat.completions.parse(asked);
  City.parse(whole.choices[0].message.parsed);
  const streamed = await openai.chat.completions.stream(asked).finalChatCompletion();
  City.parse(streamed.choices[0].message.parsed);
});

scenario('reasoning is told and turns go on', OWN, async (to, streamed) => {
  const turns = [user(BOTH)];
  const more = { tools: [WEATHER, TIME], reasoning_effort: 'low' };
  const answer = await ask(streamed, model(to), turns, more);
  // Responses tells its reasoning in words to those who ask, which cannot be done in this dialect.
  assert.equal(answer.reasoning, to === 'responses' ? '' : THOUGHT);
  turns.push({ ...turnOf(answer), reasoning_content: answer.reasoning });
  answer.calls.forEach((call) => turns.push({ role: 'tool', tool_call_id: call.id, content: 'fine' }));
  assert.equal((await ask(streamed, model(to), turns, more)).content, 'The tools said: fine | fine');
});

scenario('stop sequences', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to, 'stop'), [user('count')], { stop: [' three'] });
  // Responses has no such thing.
  assert.deepEqual([answer.content, answer.finish], [to === 'responses' ? 'one two three four five' : 'one two', 'stop']);
});

scenario('usage is what the upstream reported', OWN, async (to, streamed) => {
  const { usage } = await ask(streamed, model(to, 'usage'), [user('count')]);
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [130, 50, 180]);
  assert.equal(usage.prompt_tokens_details.cached_tokens, 20);
  assert.equal(usage.completion_tokens_details.reasoning_tokens, 15);
});

once('usage in a stream comes only when asked for', OWN, async (to) => {
  const asked = { model: model(to, 'usage'), messages: [user('count')], stream: true };
  for await (const chunk of await openai.chat.completions.create(asked)) {
    assert.ok(!chunk.usage && chunk.choices.length === 1);
  }
});

scenario('a refusal', OWN, async (to, streamed) => {
  const answer = await ask(streamed, model(to, 'refusal'), [user('do evil')]);
  assert.ok(answer.refusal || answer.finish === 'content_filter');
});

once('a long stream', OWN, async (to) => {
  const answer = await ask(true, model(to, 'long'), [user('go on')], { max_tokens: 50_000 });
  assert.equal(answer.content, '0123456789'.repeat(2000));
  assert.ok(answer.count >= 2000);
});

once('bytes cut anywhere', OWN, async (to) => {
  const answer = await ask(true, model(to, 'shredded'), [user('hello')]);
  assert.equal(answer.content, 'Grüße aus Zürich, 世界 🌍, '.repeat(4));
});

scenario('a cut stream raises', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, 'cut'), [user('hello')]), (it) => !(it instanceof assert.AssertionError));
});

gatewayOnly('a stream that ends early raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'early'), [user('hello')]), OpenAI.APIError);
});

once('an error in the stream raises', OWN, async (to) => {
  await assert.rejects(ask(true, model(to, 'midstream'), [user('hello')]), OpenAI.APIError);
});

scenario('errors before the stream', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, '400'), [user('hello')]), (it) => {
    assert.ok(it instanceof OpenAI.BadRequestError);
    assert.match(it.message, /does not like/);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, '429'), [user('hello')]), (it) => {
    assert.ok(it instanceof OpenAI.RateLimitError);
    assert.ok(Number(it.headers.get('retry-after')) >= 1);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, 'overloaded'), [user('hello')]), OpenAI.InternalServerError);
});

alone('a wrong key', async () => {
  const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
  const asked = { model: MODELS.chat, messages: [user('hello')] };
  await assert.rejects(client.chat.completions.create(asked), OpenAI.AuthenticationError);
});

once('models', OWN, async (to) => {
  const names = [];
  for await (const it of openai.models.list()) names.push(it.id);
  assert.ok(names.includes(model(to)));
  assert.equal((await openai.models.retrieve(model(to))).id, model(to));
});

once('leaving in the middle', OWN, async (to) => {
  const stream = await openai.chat.completions.create({ model: model(to, 'slow'), messages: [user('hi')], stream: true });
  let count = 0;
  for await (const _ of stream) if ((count += 1) === 3) break;
  assert.ok(stream.controller.signal.aborted);
  assert.equal((await ask(false, model(to), [user('still there?')])).finish, 'stop');
});

gatewayOnly('a key in the other dialect\'s header', OWN, async (to) => {
  const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: 'unused', defaultHeaders: { authorization: null, 'x-api-key': KEY } });
  assert.ok(!DIRECT);
  assert.ok(await client.chat.completions.create({ model: model(to), messages: [user('hello')] }));
});
