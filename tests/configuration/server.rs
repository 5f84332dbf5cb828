//! A server that answers any POST as a case's rules say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// What is answered, and to which requests. The first rule that matches answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// `always`, `topics`, `upto:N`, `path:/PATH`, `has:PARAMETER`, `lacks:PARAMETER`, `header:NAME=VALUE`.
    #[serde(default = "always")]
    when: String,
    #[serde(default = "ok")]
    status: u16,
    /// The text of the model: `@RECORD` is one fresh record under `records`.
    content: Option<String>,
    /// The whole body instead.
    body: Option<Value>,
    /// The whole body as text instead.
    text: Option<String>,
    #[serde(default)]
    delay_ms: u64,
}

fn always() -> String {
    "always".to_owned()
}

fn ok() -> u16 {
    200
}

pub(crate) struct Server {
    address: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    rules: Vec<Rule>,
    calls: AtomicU64,
    is_over: AtomicBool,
    seen: Mutex<Vec<Value>>,
}

impl Server {
    pub(crate) fn start(rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            rules,
            calls: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if serving.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // A client that hung up is no fault of ours.
                    connection.and_then(|stream| serving.serve(stream)).ok()
                });
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Returns the bodies of all requests.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        TcpStream::connect(&self.address).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            let length = head.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body)?;
            let request = serde_json::from_slice(&body).unwrap_or(Value::Null);
            self.seen.lock().unwrap().push(request.clone());
            let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            let rule = self
                .rules
                .iter()
                .find(|rule| rule.matches(number, &head, &request));
            let (status, reply) = rule.map_or((599, "no rule matches".to_owned()), |rule| {
                std::thread::sleep(Duration::from_millis(rule.delay_ms));
                (rule.status, rule.reply(number))
            });
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{reply}",
                reply.len()
            )?;
        }
    }
}

impl Rule {
    fn matches(&self, number: u64, head: &[String], request: &Value) -> bool {
        let path = head[0].split_whitespace().nth(1).unwrap_or_default();
        let (what, rest) = self.when.split_once(':').unwrap_or((&self.when, ""));
        match what {
            "always" => true,
            "topics" => {
                let text = request.to_string();
                text.contains("topics") && !text.contains("\\\"records\\\"")
            }
            "upto" => number <= rest.parse().unwrap(),
            "path" => path == rest,
            "has" => request.pointer(&format!("/{rest}")).is_some(),
            "lacks" => request.pointer(&format!("/{rest}")).is_none(),
            "header" => {
                let (name, value) = rest.split_once('=').unwrap();
                let mut pairs = head.iter().filter_map(|line| line.split_once(": "));
                pairs.any(|(found, is)| found.eq_ignore_ascii_case(name) && is == value)
            }
            other => panic!("no such rule: {other}"),
        }
    }

    fn reply(&self, number: u64) -> String {
        // Words that no two records share, so that none is a duplicate.
        let word = |place: u64| {
            let mut left = (number * 7 + place).wrapping_mul(2_654_435_761) % 4_000_000_007;
            let mut word = String::new();
            while word.len() < 7 {
                word.push(char::from(b'a' + u8::try_from(left % 26).unwrap()));
                left = left / 26 + 11;
            }
            word
        };
        let words = |from: u64| (from..from + 6).map(word).collect::<Vec<_>>().join(" ");
        let record = json!({"records": [{"question": words(0), "answer": words(10)}]});
        let fill = |text: &str| text.replace("@RECORD", &record.to_string());
        if let Some(text) = &self.text {
            return text.clone();
        }
        if let Some(body) = &self.body {
            let quoted = Value::from(record.to_string()).to_string();
            return body.to_string().replace("\"@RECORD\"", &quoted);
        }
        let content = fill(self.content.as_deref().unwrap_or("@RECORD"));
        json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70},
        })
        .to_string()
    }
}
