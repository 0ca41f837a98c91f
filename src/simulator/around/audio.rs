//! Speech, and what was said.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::json;

use crate::simulator::{
    around::{Done, Errand, Operation, demand},
    ask::tokens,
    delivery::{Body, Delivery},
    scenario::Tokens,
    vendor::{Complaint, require},
};

/// Longest text that is spoken.
const LONGEST: usize = 4096;

/// The text's bytes after a mark: no sound, but as long as the text.
pub(super) fn speech(errand: &Errand<'_>) -> Result<Done, Complaint> {
    demand(
        errand,
        &["input", "model", "voice"],
        &["instructions", "response_format", "speed", "stream_format"],
    )?;
    let text = errand.body["input"].as_str().unwrap_or_default();
    require(text.len() <= LONGEST, "input", "String should have at most 4096 characters")?;
    let format = errand.body["response_format"].as_str().unwrap_or("mp3");
    let Some(kind) = kind(format) else {
        return Complaint::of("response_format", format!("Invalid value: '{format}'."));
    };
    let used = Tokens { input: tokens(text.len()), output: tokens(text.len() * 8), ..Tokens::default() };
    let pieces: Vec<Bytes> = std::iter::once(Bytes::from_static(b"ID3\x04"))
        .chain(text.as_bytes().chunks(16).map(Bytes::copy_from_slice))
        .collect();
    if errand.body["stream_format"] == "sse" {
        let mut frames: Vec<Bytes> = pieces
            .iter()
            .map(|it| json!({"type": "speech.audio.delta", "audio": STANDARD.encode(it)}))
            .map(|it| format!("data: {it}\n\n").into())
            .collect();
        let done = json!({"type": "speech.audio.done", "usage": {"input_tokens": used.input,
            "output_tokens": used.output, "total_tokens": used.input + used.output}});
        frames.push(format!("data: {done}\n\n").into());
        return Ok(Done { delivery: Delivery::stream(frames), usage: Some(used) });
    }
    let mut delivery = Delivery::whole(200, kind, Bytes::new());
    delivery.body = Body::Pieces(pieces);
    Ok(Done { delivery, usage: Some(used) })
}

fn kind(format: &str) -> Option<&'static str> {
    Some(match format {
        "mp3" => "audio/mpeg",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        _ => return None,
    })
}

const KNOWN: &[&str] = &[
    "chunking_strategy",
    "include",
    "known_speaker_names",
    "known_speaker_references",
    "language",
    "prompt",
    "response_format",
    "stream",
    "temperature",
    "timestamp_granularities",
];

/// Tells the file's name and size instead of what was said in it.
pub(super) fn transcribed(errand: &Errand<'_>) -> Result<Done, Complaint> {
    demand(errand, &["model", "file"], KNOWN)?;
    let Some(file) = errand.files.iter().find(|it| it.field == "file") else {
        return Complaint::of("file", "Missing required parameter: 'file'.");
    };
    let text = format!("The file {} has {} bytes.", file.name, file.content.len());
    let used = Tokens { input: tokens(file.content.len()), output: tokens(text.len()), ..Tokens::default() };
    let usage = json!({
        "type": "tokens", "input_tokens": used.input, "output_tokens": used.output,
        "total_tokens": used.input + used.output,
        "input_token_details": {"text_tokens": 0, "audio_tokens": used.input},
    });
    if errand.ask.stream && errand.operation == Operation::Transcriptions {
        let deltas =
            text.split_inclusive(' ').map(|it| json!({"type": "transcript.text.delta", "delta": it}));
        let done = json!({"type": "transcript.text.done", "text": text, "usage": usage});
        let frames = deltas.chain([done]).map(|it| Bytes::from(format!("data: {it}\n\n")));
        return Ok(Done { delivery: Delivery::stream(frames.collect()), usage: Some(used) });
    }
    let format = errand.body["response_format"].as_str().unwrap_or("json");
    let plain = |text: String| Done {
        delivery: Delivery::whole(200, "text/plain; charset=utf-8", text),
        usage: Some(used),
    };
    Ok(match format {
        "json" => Done::json(&json!({"text": text, "usage": usage}), Some(used)),
        "verbose_json" => {
            let segment = json!({"id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": text, "tokens": [],
                "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.01});
            let answer = json!({"task": "transcribe", "language": "english", "duration": 1.5, "text": text,
                "segments": [segment], "usage": {"type": "duration", "seconds": 2}});
            Done::json(&answer, Some(used))
        }
        "text" => plain(format!("{text}\n")),
        "srt" => plain(format!("1\n00:00:00,000 --> 00:00:01,500\n{text}\n\n")),
        "vtt" => plain(format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n{text}\n\n")),
        other => return Complaint::of("response_format", format!("Invalid value: '{other}'.")),
    })
}
