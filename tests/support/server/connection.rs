//! One connection: requests in, replies out, until one side has enough.
//!
//! HTTP is read and written by hand, so that it can be written wrongly on purpose.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Shared;
use super::answer::{RawReply, ServedAnswer};
use super::fault::ServerFault;
use super::gauge::Inside;
use super::wire::{Bill, Question, Wire};
use topicloom::llm::FinishReason;

/// A prompt with a schema and examples has some kilobytes; more than this is no test.
const LONGEST_REQUEST: usize = 64 * 1024 * 1024;

/// What is written as a reply.
struct Reply {
    /// Pieces that go ahead of the last one, each with the pause that follows it.
    before: Vec<(Vec<u8>, Duration)>,
    last: Vec<u8>,
    close: bool,
    bill: Bill,
    fault: Option<&'static str>,
}

impl Reply {
    fn whole(bytes: Vec<u8>) -> Self {
        Self {
            before: Vec::new(),
            last: bytes,
            close: false,
            bill: Bill::default(),
            fault: None,
        }
    }
}

/// Serves one connection.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // Replies are written whole, so there is nothing to gather; and a delayed one would distort measurements.
    let _ = stream.set_nodelay(true);
    shared.books().connections += 1;
    let mut buffer = Vec::with_capacity(8 * 1024);
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let inside = shared.gauge.enter();
        let call = {
            let mut books = shared.books();
            books.calls += 1;
            books.calls - 1
        };
        let head = &buffer[..request.head];
        let body = &buffer[request.head..request.end];
        if !shared.wire.has_key(head) {
            shared.books().without_key += 1;
        }
        let reply = reply(&shared, call, head, body);
        buffer.drain(..request.end);
        let close = reply.close;
        if !send(&mut stream, &shared, reply, inside).await || close {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Waits as long as the server is told to and writes the reply; returns whether the caller was there to the end.
async fn send(stream: &mut TcpStream, shared: &Shared, reply: Reply, inside: Inside) -> bool {
    let mut delay = shared.delay;
    let last = reply.last;
    for (piece, then) in &reply.before {
        if !pause(stream, delay).await || stream.write_all(piece).await.is_err() {
            shared.books().abandoned += 1;
            return false;
        }
        delay = *then;
    }
    if !pause(stream, delay).await {
        shared.books().abandoned += 1;
        return false;
    }
    // Before the end of the reply is written, since a caller who has it may look into the books, or send the
    // next request over another connection.
    drop(inside);
    {
        let mut books = shared.books();
        match reply.fault {
            None => books.answers += 1,
            Some(fault) => *books.faults.entry(fault).or_default() += 1,
        }
        books.usage += reply.bill.usage();
    }
    stream.write_all(&last).await.is_ok()
}

/// Waits, and returns whether the caller is still there.
async fn pause(stream: &TcpStream, delay: Duration) -> bool {
    if delay.is_zero() {
        return true;
    }
    tokio::select! {
        biased;
        () = hang_up(stream) => false,
        () = tokio::time::sleep(delay) => true,
    }
}

/// Returns once the caller has closed the connection. Clients do not send the next request before the answer
/// to this one, so anything readable is the end.
async fn hang_up(stream: &TcpStream) {
    let mut byte = [0];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// Where a request ends in the buffer, and where its head does.
struct Request {
    head: usize,
    end: usize,
}

/// Reads until the buffer holds one whole request.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let mut head = None;
    loop {
        if head.is_none() {
            head = find(buffer, b"\r\n\r\n").map(|end| {
                let end = end + 4;
                (end, end.saturating_add(content_length(&buffer[..end])))
            });
        }
        if let Some((head, end)) = head
            && buffer.len() >= end
        {
            return Some(Request { head, end });
        }
        if buffer.len() > LONGEST_REQUEST || stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn content_length(head: &[u8]) -> usize {
    header(head, "content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// Returns the value of a request header.
pub(super) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(head).ok()?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn reply(shared: &Shared, call: u64, head: &[u8], body: &[u8]) -> Reply {
    let wire = shared.wire;
    let Some(question) = wire.question(call, head, body) else {
        let error = wire.error(400, "invalid_request_error", "not a request of this format");
        let mut reply = Reply::whole(plain(shared, &error));
        reply.fault = Some("not_understood");
        return reply;
    };
    match shared.faults.fault(call) {
        Some(fault) => broken(shared, &question, fault),
        None => match (shared.respond)(&question) {
            ServedAnswer::Fault(fault) => broken(shared, &question, &fault),
            ServedAnswer::Raw(raw) => Reply::whole(plain(shared, &raw)),
            answer => good(shared, &question, answer),
        },
    }
}

fn good(shared: &Shared, question: &Question<'_>, answer: ServedAnswer) -> Reply {
    let (text, finish) = match answer {
        ServedAnswer::Text(text) => (text, FinishReason::Stop),
        ServedAnswer::CutOff(text) => (text, FinishReason::Length),
        ServedAnswer::Refusal => (String::new(), FinishReason::Refusal),
        ServedAnswer::Filtered => (String::new(), FinishReason::ContentFilter),
        ServedAnswer::Fault(_) | ServedAnswer::Raw(_) => (String::new(), FinishReason::Other),
    };
    let bill = Bill::of(question, &text);
    let body = shared.wire.answer(question, &text, finish, bill);
    let mut reply = Reply::whole(ok(shared, "application/json", &body));
    reply.bill = bill;
    reply
}

/// Returns what the responder says, whatever is to happen to it on the way.
fn answer_of(shared: &Shared, question: &Question<'_>) -> (Vec<u8>, Bill) {
    let text = match (shared.respond)(question) {
        ServedAnswer::Text(text) | ServedAnswer::CutOff(text) => text,
        _ => String::new(),
    };
    let bill = Bill::of(question, &text);
    let body = shared
        .wire
        .answer(question, &text, FinishReason::Stop, bill);
    (body, bill)
}

fn broken(shared: &Shared, question: &Question<'_>, fault: &ServerFault) -> Reply {
    let wire = shared.wire;
    let mut reply = match fault {
        ServerFault::WebPage | ServerFault::Malformed => {
            let (content_type, body): (_, &[u8]) = if *fault == ServerFault::WebPage {
                ("text/html", PAGE.as_bytes())
            } else {
                ("application/json", b"{\"choices\": [{\"mess")
            };
            Reply::whole(ok(shared, content_type, body))
        }
        ServerFault::OtherJson => Reply::whole(ok(shared, "application/json", b"[1, 2]")),
        ServerFault::EmptyBody => Reply::whole(ok(shared, "application/json", b"")),
        ServerFault::BadGateway => Reply::whole(plain(
            shared,
            &RawReply::new(502, PAGE).header("content-type", "text/html"),
        )),
        ServerFault::TooLong(bytes) => {
            Reply::whole(ok(shared, "application/json", &vec![b' '; *bytes]))
        }
        ServerFault::Redirect(to) => Reply::whole(plain(
            shared,
            &RawReply::new(307, Vec::new()).header("location", to.clone()),
        )),
        ServerFault::HungUp => Reply {
            close: true,
            ..Reply::whole(Vec::new())
        },
        ServerFault::BrokenText => good(shared, question, ServedAnswer::from("no { json")),
        ServerFault::WrongContentType
        | ServerFault::CutOff
        | ServerFault::CutChunks
        | ServerFault::KeepAlive(_)
        | ServerFault::Slow(_) => on_the_way(shared, question, fault),
        refused => Reply::whole(plain(shared, &refusal(wire, question, refused))),
    };
    reply.fault = Some(fault.name());
    reply
}

const PAGE: &str = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>";

/// A good answer that something happens to on the way.
fn on_the_way(shared: &Shared, question: &Question<'_>, fault: &ServerFault) -> Reply {
    let (body, bill) = answer_of(shared, question);
    let half = body.len() / 2;
    match fault {
        ServerFault::WrongContentType => Reply {
            bill,
            ..Reply::whole(ok(shared, "text/plain", &body))
        },
        ServerFault::Slow(delay) => Reply {
            before: vec![(Vec::new(), *delay)],
            bill,
            ..Reply::whole(ok(shared, "application/json", &body))
        },
        ServerFault::KeepAlive(delay) => Reply {
            before: vec![
                (
                    [head_of_chunks(shared), chunk(b"\n\n")].concat(),
                    *delay / 2,
                ),
                (chunk(b": keep-alive\n\n"), *delay / 2),
            ],
            bill,
            ..Reply::whole([chunk(&body), chunk(b"")].concat())
        },
        ServerFault::CutChunks => Reply {
            close: true,
            ..Reply::whole([head_of_chunks(shared), chunk(&body[..half])].concat())
        },
        // The announced length is that of the whole body.
        _ => {
            let mut bytes = ok(shared, "application/json", &body);
            bytes.truncate(bytes.len() - half);
            Reply {
                close: true,
                ..Reply::whole(bytes)
            }
        }
    }
}

fn refusal(wire: Wire, question: &Question<'_>, fault: &ServerFault) -> RawReply {
    match fault {
        ServerFault::RateLimited(delay) => wire.rate_limited(*delay),
        ServerFault::NoCredit => wire.no_credit(),
        // A message that quotes the key and the prompt, which no error may repeat.
        ServerFault::BadKey => wire.error(
            401,
            "invalid_api_key",
            &format!("incorrect key {} for {}", question.key(), question.prompt()),
        ),
        ServerFault::UnknownModel => wire.error(404, "model_not_found", "no such model"),
        ServerFault::ContextLength => wire.error(
            400,
            "context_length_exceeded",
            "prompt is too long: 200001 tokens > 200000 maximum context length; \
             the input token count exceeds the maximum number of tokens allowed",
        ),
        ServerFault::SchemaRefused => wire.error(
            400,
            "invalid_request_error",
            "invalid schema in response_format, output_config or response_json_schema",
        ),
        ServerFault::Overloaded => wire.overloaded(),
        ServerFault::ErrorInSuccess => {
            let mut reply = wire.error(500, "server_error", "failed after the start");
            reply.status = 200;
            reply
        }
        _ => wire.error(500, "server_error", "an internal error"),
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn head_of_chunks(shared: &Shared) -> Vec<u8> {
    let mut head = head(shared, 200, "application/json");
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    head.into_bytes()
}

fn ok(shared: &Shared, content_type: &str, body: &[u8]) -> Vec<u8> {
    with_body(head(shared, 200, content_type), body)
}

fn plain(shared: &Shared, reply: &RawReply) -> Vec<u8> {
    let content_type = reply
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map_or("application/json", |(_, value)| value);
    let mut head = head(shared, reply.status, content_type);
    for (name, value) in &reply.headers {
        if !name.eq_ignore_ascii_case("content-type") {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    with_body(head, &reply.body)
}

fn head(shared: &Shared, status: u16, content_type: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\n");
    for (name, value) in &shared.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head
}

fn with_body(mut head: String, body: &[u8]) -> Vec<u8> {
    let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
