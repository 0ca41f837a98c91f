// The official OpenAI SDK by its Responses interface, against upstreams of every dialect.
import assert from 'node:assert/strict';

import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import {
  BOTH,
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

const OWN = 'responses';
const tool = (name, properties) => ({
  type: 'function',
  name,
  description: name,
  strict: false,
  parameters: { type: 'object', properties },
});
const WEATHER = tool('get_weather', { city: { type: 'string' }, days: { type: 'number' } });
const TIME = tool('get_time', { zone: { type: 'string' } });
const PIXEL = { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PNG}` };
const user = (content) => ({ role: 'user', content });
const output = (call, output) => ({ type: 'function_call_output', call_id: call.call_id, output });

async function ask(streamed, name, input, more = {}) {
  const asked = { model: name, input, store: false, ...more };
  return streamed ? openai.responses.stream(asked).finalResponse() : openai.responses.create(asked);
}

/** The items to go on from, without what the stream helper adds and the service itself refuses. */
const kept = (response) =>
  response.output.map(({ parsed_arguments: _, ...it }) =>
    it.type === 'message' ? { ...it, content: it.content.map(({ parsed: _, ...part }) => part) } : it,
  );
const calls = (response) => response.output.filter((it) => it.type.endsWith('_call'));
const parts = (response) => response.output.filter((it) => it.type === 'message').flatMap((it) => it.content);

/** Reads a stream to its end and holds it to its grammar on the way. */
async function events(stream) {
  const kinds = [];
  const open = new Map();
  let sequence = 0;
  for await (const event of stream) {
    assert.equal(event.sequence_number, sequence, 'sequence numbers have no gap');
    sequence += 1;
    kinds.push(event.type);
    if (event.type === 'response.output_item.added') {
      assert.equal(event.output_index, open.size, 'items come in order');
      open.set(event.output_index, { id: event.item.id, told: '' });
    } else if (event.type === 'response.function_call_arguments.delta' || event.type === 'response.output_text.delta') {
      assert.equal(event.item_id, open.get(event.output_index).id);
      open.get(event.output_index).told += event.delta;
    } else if (event.type === 'response.output_item.done') {
      const it = open.get(event.output_index);
      assert.equal(event.item.id, it.id);
      if (event.item.type === 'function_call') assert.equal(event.item.arguments, it.told);
      if (event.item.type === 'message') assert.equal(event.item.content[0].text, it.told);
    }
  }
  return { kinds, items: open.size };
}

scenario('plain text', OWN, async (to, streamed) => {
  const response = await ask(streamed, model(to), 'Hello, you');
  assert.equal(response.output_text, 'You wrote 10 characters.');
  assert.deepEqual([response.object, response.status], ['response', 'completed']);
  assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
  assert.ok(response.usage.input_tokens > 0 && response.usage.output_tokens > 0);
});

scenario('several turns with instructions', OWN, async (to, streamed) => {
  const turns = [user('one'), { role: 'assistant', content: '1' }, user('two!')];
  const asked = [
    ask(streamed, model(to), turns, { instructions: 'Be brief.' }),
    ask(streamed, model(to), [{ role: 'system', content: 'Be brief.' }, ...turns]),
    ask(streamed, model(to), [{ role: 'developer', content: 'Be brief.' }, ...turns]),
  ];
  for (const response of await Promise.all(asked)) assert.equal(response.output_text, 'You wrote 4 characters.');
});

once('the grammar of a stream', OWN, async (to) => {
  const text = await events(await openai.responses.create({ model: model(to), input: 'Hello', store: false, stream: true }));
  assert.deepEqual(text.kinds.slice(0, 2), ['response.created', 'response.in_progress']);
  assert.equal(text.kinds.at(-1), 'response.completed');
  for (const kind of ['content_part.added', 'output_text.done', 'content_part.done', 'output_item.done']) {
    assert.equal(text.kinds.filter((it) => it === `response.${kind}`).length, 1, kind);
  }
  const asked = { model: model(to), input: BOTH, tools: [WEATHER, TIME], store: false, stream: true };
  const called = await events(await openai.responses.create(asked));
  assert.equal(called.items, 2);
  assert.equal(called.kinds.filter((it) => it === 'response.function_call_arguments.done').length, 2);
});

scenario('parallel tools and their results', OWN, async (to, streamed) => {
  const tools = [WEATHER, TIME];
  const response = await ask(streamed, model(to), BOTH, { tools });
  assert.equal(response.status, 'completed');
  assert.deepEqual(calls(response).map((it) => [it.type, it.name, JSON.parse(it.arguments)]), [
    ['function_call', 'get_weather', { city: 'Oslo', days: 2 }],
    ['function_call', 'get_time', { zone: 'CET' }],
  ]);
  const results = calls(response).map((call, place) => output(call, ['sunny', 'noon'][place]));
  const turns = [user(BOTH), ...kept(response), ...results];
  assert.equal((await ask(streamed, model(to), turns, { tools })).output_text, 'The tools said: sunny | noon');
});

scenario('tool results with images and errors', OWN, async (to, streamed) => {
  const tools = [WEATHER, TIME];
  const response = await ask(streamed, model(to), BOTH, { tools });
  const [weather, time] = calls(response);
  const results = [output(weather, [{ type: 'input_text', text: 'a picture' }, PIXEL]), output(time, 'error: no clock')];
  const turns = [user(BOTH), ...kept(response), ...results];
  assert.match((await ask(streamed, model(to), turns, { tools })).output_text, /I saw 1 image\./);
});

once('tool arguments come in fragments', OWN, async (to) => {
  const city = 'Llanfair'.repeat(20);
  let fragments = 0;
  const asked = { model: model(to), input: `call get_weather {"city": "${city}"}`, tools: [WEATHER], store: false };
  const stream = openai.responses.stream(asked).on('response.function_call_arguments.delta', () => (fragments += 1));
  const response = await stream.finalResponse();
  // A Gemini upstream tells a call whole.
  assert.ok(fragments > (to === 'gemini' ? 0 : 5));
  assert.deepEqual(JSON.parse(calls(response)[0].arguments), { city });
});

scenario('a tool that takes free text', OWN, async (to, streamed) => {
  const tools = [{ type: 'custom', name: 'shell', description: 'runs a command' }];
  const asked = 'call shell {"input": "ls -l"}';
  const response = await ask(streamed, model(to), asked, { tools });
  const [call] = calls(response);
  assert.deepEqual([call.type, call.name], ['custom_tool_call', 'shell']);
  // Where the upstream has no such tools it calls a function, and its one argument is the text.
  assert.equal(call.input, to === 'responses' ? '{"input": "ls -l"}' : 'ls -l');
  const result = { type: 'custom_tool_call_output', call_id: call.call_id, output: 'total 0' };
  const turns = [user(asked), ...kept(response), result];
  assert.equal((await ask(streamed, model(to), turns, { tools })).output_text, 'The tool said: total 0');
});

scenario('tool choice', OWN, async (to, streamed) => {
  const called = async (choice, more = {}) => {
    const asked = { tools: [WEATHER, TIME], tool_choice: choice, ...more };
    return calls(await ask(streamed, model(to), BOTH, asked)).map((it) => it.name);
  };
  assert.deepEqual(await called('none'), []);
  assert.deepEqual(await called({ type: 'function', name: 'get_time' }), ['get_time']);
  // Gemini cannot be told to call one at a time.
  assert.deepEqual(await called('required', { parallel_tool_calls: false }), to === 'gemini' ? ['get_weather', 'get_time'] : ['get_weather']);
});

scenario('images', OWN, async (to, streamed) => {
  const response = await ask(streamed, model(to), [user([{ type: 'input_text', text: 'Look' }, PIXEL])]);
  assert.match(response.output_text, /I saw 1 image\./);
});

scenario('a document', OWN, async (to, streamed) => {
  const file = { type: 'input_file', filename: 'hello.pdf', file_data: `data:application/pdf;base64,${PDF}` };
  const response = await ask(streamed, model(to), [user([file, { type: 'input_text', text: 'Read' }])]);
  assert.match(response.output_text, /I read 1 document\./);
});

once('structured output', OWN, async (to) => {
  const City = z.object({ name: z.string(), people: z.number().int(), rivers: z.array(z.string()) });
  const asked = { model: model(to), input: 'A city', text: { format: zodTextFormat(City, 'city') }, store: false };
  City.parse((await openai.responses.parse(asked)).output_parsed);
  City.parse((await openai.responses.stream(asked).finalResponse()).output_parsed);
});

scenario('reasoning is kept over turns', OWN, async (to, streamed) => {
  const more = {
    tools: [WEATHER, TIME],
    reasoning: { effort: 'low', summary: 'auto' },
    include: ['reasoning.encrypted_content'],
  };
  const response = await ask(streamed, model(to), BOTH, more);
  const [thought] = response.output;
  assert.equal(thought.type, 'reasoning');
  assert.equal([...thought.summary, ...(thought.content ?? [])].map((it) => it.text).join(''), THOUGHT);
  // What a Chat upstream thinks nobody seals.
  if (to !== 'chat') assert.ok(response.output.some((it) => it.type === 'reasoning' && it.encrypted_content));
  const turns = [user(BOTH), ...kept(response), ...calls(response).map((call) => output(call, 'fine'))];
  assert.equal((await ask(streamed, model(to), turns, more)).output_text, 'The tools said: fine | fine');
});

scenario('usage is what the upstream reported', OWN, async (to, streamed) => {
  const { usage } = await ask(streamed, model(to, 'usage'), 'count');
  assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.total_tokens], [130, 50, 180]);
  assert.equal(usage.input_tokens_details.cached_tokens, 20);
  assert.equal(usage.output_tokens_details.reasoning_tokens, 15);
});

scenario('a refusal', OWN, async (to, streamed) => {
  const response = await ask(streamed, model(to, 'refusal'), 'do evil');
  const refused = parts(response).some((it) => it.type === 'refusal');
  assert.ok(refused || response.incomplete_details?.reason === 'content_filter');
});

once('a long stream', OWN, async (to) => {
  let pieces = 0;
  const asked = { model: model(to, 'long'), input: 'go on', max_output_tokens: 50_000, store: false };
  const response = await openai.responses.stream(asked).on('response.output_text.delta', () => (pieces += 1)).finalResponse();
  assert.equal(response.output_text, '0123456789'.repeat(2000));
  assert.ok(pieces >= 2000);
});

once('bytes cut anywhere', OWN, async (to) => {
  const response = await ask(true, model(to, 'shredded'), 'hello');
  assert.equal(response.output_text, 'Grüße aus Zürich, 世界 🌍, '.repeat(4));
});

/** What a stream that breaks off says: the helper is content with any end, so the events are looked at. */
async function broken(name) {
  const said = [];
  const asked = { model: name, input: 'hello', store: false, stream: true };
  for await (const event of await openai.responses.create(asked)) said.push(event.type);
  assert.ok(!said.includes('response.completed'), 'nothing is completed');
  if (said.at(-1) === 'response.failed') throw new OpenAI.APIError(undefined, undefined, 'failed', undefined);
}

scenario('a cut stream raises', OWN, async (to, streamed) => {
  const asked = streamed ? broken(model(to, 'cut')) : ask(false, model(to, 'cut'), 'hello');
  await assert.rejects(asked, (it) => !(it instanceof assert.AssertionError));
});

gatewayOnly('a stream that ends early raises', OWN, async (to) => {
  await assert.rejects(broken(model(to, 'early')), OpenAI.APIError);
});

once('an error in the stream raises', OWN, async (to) => {
  await assert.rejects(broken(model(to, 'midstream')), OpenAI.APIError);
});

scenario('errors before the stream', OWN, async (to, streamed) => {
  await assert.rejects(ask(streamed, model(to, '400'), 'hello'), (it) => {
    assert.ok(it instanceof OpenAI.BadRequestError);
    assert.match(it.message, /does not like/);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, '429'), 'hello'), (it) => {
    assert.ok(it instanceof OpenAI.RateLimitError);
    assert.ok(Number(it.headers.get('retry-after')) >= 1);
    return true;
  });
  await assert.rejects(ask(streamed, model(to, 'overloaded'), 'hello'), OpenAI.InternalServerError);
});

alone('a wrong key', async () => {
  const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
  const asked = { model: MODELS.responses, input: 'hello' };
  await assert.rejects(client.responses.create(asked), OpenAI.AuthenticationError);
});

once('tokens are counted', OWN, async (to) => {
  const count = async (input) => (await openai.responses.inputTokens.count({ model: model(to), input })).input_tokens;
  assert.ok((await count('Hello')) < (await count('Hello '.repeat(200))));
});

once('a conversation is made short', OWN, async (to) => {
  const turns = [user('one'), { role: 'assistant', content: '1' }, user('two!')];
  const short = await openai.responses.compact({ model: model(to), input: turns });
  assert.ok(short.output.some((it) => it.type === 'compaction' && it.encrypted_content));
  const next = await ask(false, model(to), [...short.output, user('go on')]);
  assert.equal(next.output_text, 'You wrote 5 characters.');
});

once('leaving in the middle', OWN, async (to) => {
  const asked = { model: model(to, 'slow'), input: 'hi', store: false, stream: true };
  const stream = await openai.responses.create(asked);
  let count = 0;
  for await (const _ of stream) if ((count += 1) === 6) break;
  assert.ok(stream.controller.signal.aborted);
  assert.equal((await ask(false, model(to), 'still there?')).status, 'completed');
});
