// The Vercel AI SDK by each of its providers, against upstreams of every dialect.
import assert from 'node:assert/strict';

import { APICallError, Output, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

import { BOTH, PDF, PNG, PROVIDERS, THOUGHT, gatewayOnly, model, once, scenario } from './setup.js';

globalThis.AI_SDK_LOG_WARNINGS = false;

const City = z.object({ name: z.string(), rivers: z.array(z.string()) });
const user = (...content) => ({ role: 'user', content });
const words = (text) => ({ type: 'text', text });

/** Thinking as each provider is told of it. */
const THINKING = {
  'openai.chat': { openai: { reasoningEffort: 'low' } },
  'openai.responses': {
    openai: {
      forceReasoning: true,
      reasoningEffort: 'low',
      reasoningSummary: 'auto',
      store: false,
      include: ['reasoning.encrypted_content'],
    },
  },
  anthropic: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } },
  google: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } },
};

/** The two tools, which answer so. */
function tools(sunny, noon, more = {}) {
  return {
    get_weather: tool({
      strict: false,
      description: 'the weather',
      inputSchema: z.object({ city: z.string(), days: z.number() }),
      execute: sunny,
      ...more,
    }),
    get_time: tool({
      strict: false,
      description: 'the time',
      inputSchema: z.object({ zone: z.string() }),
      execute: noon,
    }),
  };
}

for (const [by, { own, of }] of Object.entries(PROVIDERS)) {
  const ask = async (streamed, name, asked, more = {}) => {
    const settings = { model: of(name), maxRetries: 0, ...asked, ...more };
    if (by === 'openai.responses') settings.providerOptions ??= { openai: { store: false } };
    if (!streamed) return generateText(settings);
    let failure = null;
    const result = streamText({ ...settings, onError: ({ error }) => (failure ??= error) });
    await result.consumeStream({ onError: (error) => (failure ??= error) });
    if (failure) throw failure;
    const names = ['text', 'reasoningText', 'finishReason', 'steps', 'usage', 'totalUsage', 'response'];
    const told = await Promise.all(names.map((it) => result[it]));
    const it = Object.fromEntries(names.map((name, place) => [name, told[place]]));
    return asked.output ? { ...it, output: await result.output } : it;
  };

  // To an upstream of its dialect this provider's own wording goes on as it stands, which is not that of the published types.
  const listener = (to) => model(to, by === 'openai.responses' && to === own ? 'own-words' : '');

  scenario(`${by}: text`, own, async (to, streamed) => {
    const result = await ask(streamed, model(to), { prompt: 'Hello, you' });
    assert.deepEqual([result.text, result.finishReason], ['You wrote 10 characters.', 'stop']);
    assert.ok(result.usage.inputTokens > 0 && result.usage.outputTokens > 0);
  });

  scenario(`${by}: several turns with a system prompt`, own, async (to, streamed) => {
    const messages = [user(words('one')), { role: 'assistant', content: '1' }, user(words('two!'))];
    assert.equal((await ask(streamed, listener(to), { system: 'Be brief.', messages })).text, 'You wrote 4 characters.');
  });

  scenario(`${by}: parallel tools in several steps`, own, async (to, streamed) => {
    const asked = { prompt: BOTH, tools: tools(({ city }) => `sunny in ${city}`, () => 'noon'), stopWhen: stepCountIs(3) };
    const result = await ask(streamed, model(to), asked);
    assert.deepEqual(result.steps.map((it) => it.finishReason), ['tool-calls', 'stop']);
    assert.deepEqual(result.steps[0].toolCalls.map((it) => [it.toolName, it.input]), [
      ['get_weather', { city: 'Oslo', days: 2 }],
      ['get_time', { zone: 'CET' }],
    ]);
    assert.equal(result.text, 'The tools said: sunny in Oslo | noon');
  });

  scenario(`${by}: a tool that fails`, own, async (to, streamed) => {
    const fail = () => {
      throw new Error('no clock');
    };
    const asked = { prompt: BOTH, tools: tools(() => 'sunny', fail), stopWhen: stepCountIs(3) };
    const result = await ask(streamed, model(to), asked);
    assert.equal(result.steps.length, 2);
    assert.match(result.text, /^The tools said: sunny \| .*no clock/);
  });

  // The Chat provider writes the image down as text.
  if (by !== 'openai.chat') {
    scenario(`${by}: a tool that shows an image`, own, async (to, streamed) => {
      const value = [words('a picture'), { type: 'image-data', mediaType: 'image/png', data: PNG }];
      const shown = { toModelOutput: () => ({ type: 'content', value }) };
      const asked = { prompt: BOTH, tools: tools(() => 'sunny', () => 'noon', shown), stopWhen: stepCountIs(3) };
      // Of Gemini's own models only the third generation looks at them.
      const name = model(to, by === 'google' && to === 'gemini' ? 'budget' : '');
      assert.match((await ask(streamed, name, asked)).text, /I saw 1 image\./);
    });
  }

  scenario(`${by}: tool choice`, own, async (to, streamed) => {
    const called = async (toolChoice) => {
      const { steps } = await ask(streamed, model(to), { prompt: BOTH, tools: tools(() => 'sunny', () => 'noon'), toolChoice });
      return steps[0].toolCalls.map((it) => it.toolName);
    };
    assert.deepEqual(await called('none'), []);
    assert.deepEqual(await called({ type: 'tool', toolName: 'get_time' }), ['get_time']);
    assert.deepEqual(await called('required'), ['get_weather', 'get_time']);
  });

  scenario(`${by}: an object`, own, async (to, streamed) => {
    const asked = { model: of(model(to)), schema: City, prompt: 'A city', maxRetries: 0 };
    if (!streamed) City.parse((await generateObject(asked)).object);
    else {
      let last = null;
      for await (const partial of streamObject(asked).partialObjectStream) last = partial;
      City.parse(last);
    }
    City.parse((await ask(streamed, model(to), { prompt: 'A city', output: Output.object({ schema: City }) })).output);
  });

  scenario(`${by}: images and documents`, own, async (to, streamed) => {
    const image = { type: 'image', image: Buffer.from(PNG, 'base64'), mediaType: 'image/png' };
    const file = { type: 'file', data: PDF, mediaType: 'application/pdf', filename: 'hello.pdf' };
    const { text } = await ask(streamed, listener(to), { messages: [user(words('Look'), image, file)] });
    assert.match(text, /I saw 1 image\. I read 1 document\./);
  });

  scenario(`${by}: reasoning is kept over steps`, own, async (to, streamed) => {
    const asked = { prompt: BOTH, tools: tools(() => 'fine', () => 'fine'), stopWhen: stepCountIs(3) };
    const result = await ask(streamed, listener(to), { ...asked, maxOutputTokens: 4096, providerOptions: THINKING[by] });
    assert.equal(result.text, 'The tools said: fine | fine');
    // The Chat provider has no word for it.
    if (by !== 'openai.chat') assert.equal(result.steps[0].reasoningText, THOUGHT);
    const more = [...result.response.messages, user(words('and now?'))];
    const next = await ask(streamed, listener(to), {
      messages: [user(words(BOTH)), ...more],
      tools: asked.tools,
      maxOutputTokens: 4096,
      providerOptions: THINKING[by],
    });
    assert.equal(next.text, 'You wrote 8 characters.');
  });

  scenario(`${by}: usage is what the upstream reported`, own, async (to, streamed) => {
    const { usage } = await ask(streamed, model(to, 'usage'), { prompt: 'count' });
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [130, 50]);
    assert.equal(usage.inputTokenDetails.cacheReadTokens, 20);
    if (by !== 'anthropic' && to !== 'messages') assert.equal(usage.outputTokenDetails.reasoningTokens, 15);
  });

  scenario(`${by}: a refusal`, own, async (to, streamed) => {
    const result = await ask(streamed, model(to, 'refusal'), { prompt: 'do evil' });
    assert.ok(result.finishReason === 'content-filter' || result.text === 'I cannot help with that.', result.finishReason);
  });

  once(`${by}: a long stream`, own, async (to) => {
    const settings = { model: of(model(to, 'long')), prompt: 'go on', maxOutputTokens: 50_000, maxRetries: 0 };
    let text = '';
    let pieces = 0;
    for await (const piece of streamText(settings).textStream) {
      text += piece;
      pieces += 1;
    }
    assert.equal(text, '0123456789'.repeat(2000));
    assert.ok(pieces >= 2000);
  });

  once(`${by}: bytes cut anywhere`, own, async (to) => {
    assert.equal((await ask(true, model(to, 'shredded'), { prompt: 'hello' })).text, 'Grüße aus Zürich, 世界 🌍, '.repeat(4));
  });

  scenario(`${by}: a cut stream raises`, own, async (to, streamed) => {
    await assert.rejects(ask(streamed, model(to, 'cut'), { prompt: 'hello' }));
  });

  gatewayOnly(`${by}: a stream that ends early raises`, own, async (to) => {
    await assert.rejects(ask(true, model(to, 'early'), { prompt: 'hello' }));
  });

  once(`${by}: an error in the stream raises`, own, async (to) => {
    await assert.rejects(ask(true, model(to, 'midstream'), { prompt: 'hello' }));
  });

  scenario(`${by}: errors before the stream`, own, async (to, streamed) => {
    for (const [play, statuses] of [['400', [400]], ['429', [429]], ['overloaded', [503, 529]]]) {
      await assert.rejects(ask(streamed, model(to, play), { prompt: 'hello' }), (it) => {
        assert.ok(APICallError.isInstance(it), it);
        assert.ok(statuses.includes(it.statusCode), `${it.statusCode}`);
        assert.equal(it.isRetryable, play !== '400');
        if (play === '400') assert.match(it.message, /does not like/);
        if (play === '429') assert.ok(Number(it.responseHeaders['retry-after']) >= 1);
        return true;
      });
    }
  });
}
