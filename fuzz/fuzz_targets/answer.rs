//! Any body of a success. Reading it never panics, is the same twice, and survives a frame and a byte order mark.

#![no_main]

use libfuzzer_sys::fuzz_target;
use topicloom::llm::ChatRequest;
use topicloom::testing::read_answer;

fuzz_target!(|body: &[u8]| {
    let request = ChatRequest::default();
    let read = |body: &[u8]| read_answer(body, &request).map(|answer| (answer.text, answer.usage));
    let answer = read(body);
    assert_eq!(answer, read(body));
    // What is one line of JSON means the same in a stream of one event.
    let is_json = serde_json::from_slice::<serde_json::Map<_, _>>(body).is_ok();
    if is_json && !body.contains(&b'\n') && !body.contains(&b'\r') {
        for frame in ["\u{feff}", "data: ", ": hello\n\ndata:"] {
            let framed = [frame.as_bytes(), body, b"\n\ndata: [DONE]\n\n"].concat();
            assert_eq!(answer, read(&framed));
        }
    }
});
