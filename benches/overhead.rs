//! What the pipeline costs beside a bare HTTP loop, against the same server, in one run; and how soon the command, which
//! finds its model by name and follows its rate limiter, is at full speed.
//!
//! ```text
//! cargo bench --bench overhead --features cli
//! ```
//!
//! The server answers each request after a fixed latency with one record no other answer holds. It lives in a
//! thread of its own, whose CPU time is read apart from that of the rest of the process. The bare loop is what
//! one would write without a library: a semaphore, `reqwest`, one record decoded from each answer; no retry, no
//! validation, no duplicates looked for, no account. Both send the same messages, and allocate as the command does.
//!
//! CPU per record is the client's threads' time on a core divided by records. Ideal wall time is
//! `records / concurrency * latency`. Rounds alternate, and the median of each is shown, since the machine has
//! other things to do.

// Numbers of records and calls are far below what a double holds exactly.
#![allow(clippy::cast_precision_loss)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use topicloom::llm::providers::{ClientOptions, OpenAiClient};
use topicloom::{GenerateByTopicInput, Pipeline};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

#[derive(Serialize, Deserialize, JsonSchema)]
#[allow(dead_code)] // Decoded, and not looked at.
struct Qa {
    question: String,
    answer: String,
}

struct Setup {
    concurrency: usize,
    records: u64,
    latency: Duration,
}

struct Measured {
    cpu_per_record: Duration,
    share_of_ideal: f64,
}

fn main() {
    // `cargo test --benches` runs this with `--test`: prove that it works, and measure nothing.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let setups = [
        Setup {
            concurrency: 64,
            records: 3_200,
            // Shorter than any real answer, so that what the client costs shows.
            latency: Duration::from_millis(200),
        },
        Setup {
            concurrency: 1_024,
            records: 20_480,
            latency: Duration::from_millis(500),
        },
    ];
    println!("concurrency  records    client     CPU per record   share of ideal wall time");
    for setup in setups {
        let (rounds, setup) = if is_test {
            (
                1,
                Setup {
                    records: 100,
                    ..setup
                },
            )
        } else {
            (ROUNDS, setup)
        };
        let server = Server::start(setup.latency);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
        let mut bare = Vec::new();
        let mut pipeline = Vec::new();
        for _ in 0..rounds {
            bare.push(measure(&server, &setup, || {
                runtime.block_on(bare_loop(&server, &setup));
            }));
            pipeline.push(measure(&server, &setup, || {
                runtime.block_on(whole_pipeline(&server, &setup));
            }));
        }
        let (bare, pipeline) = (median(bare), median(pipeline));
        for (name, measured) in [("bare loop", &bare), ("topicloom", &pipeline)] {
            println!(
                "{:>11}  {:>7}    {name:<9}  {:>11.1} µs   {:.3}",
                setup.concurrency,
                setup.records,
                measured.cpu_per_record.as_secs_f64() * 1e6,
                measured.share_of_ideal,
            );
        }
        println!(
            "{:>31}  {:>11.2} x",
            "ratio",
            pipeline.cpu_per_record.as_secs_f64() / bare.cpu_per_record.as_secs_f64().max(1e-9)
        );
    }
    if let Some(command) = option_env!("CARGO_BIN_EXE_topicloom") {
        start_up(Path::new(command), is_test);
    }
}

/// Prints how close short runs come to the ideal, from the start of the process to its end.
fn start_up(command: &Path, is_test: bool) {
    let setups = [(32, 600, 150), (64, 5_000, 50), (64, 2_000, 500)];
    for (concurrency, records, milliseconds) in setups {
        let setup = Setup {
            concurrency,
            records: if is_test { 100 } else { records },
            latency: Duration::from_millis(milliseconds),
        };
        let server = Server::start(setup.latency);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
        let (mut bare, mut by_name) = (Vec::new(), Vec::new());
        for _ in 0..if is_test { 1 } else { ROUNDS } {
            bare.push(measure(&server, &setup, || {
                runtime.block_on(bare_loop(&server, &setup));
            }));
            by_name.push(measure(&server, &setup, || run(command, &server, &setup)));
        }
        for (name, measured) in [("bare loop", bare), ("command", by_name)] {
            println!(
                "{concurrency:>11}  {records:>7}    {name:<9}  {milliseconds:>8} ms calls   {:.3}",
                median(measured).share_of_ideal,
            );
        }
    }
}

fn run(command: &Path, server: &Server, setup: &Setup) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let input = json!({
        "user_instruction": INSTRUCTION,
        "num_records": setup.records,
        "topics": (0..100).map(|topic| format!("topic {topic}")).collect::<Vec<_>>(),
        "generation_model_name": "openai/bench",
        "data_factory_config": {"max_concurrency": setup.concurrency, "records_per_request": 1},
    });
    let path = folder.path().join("input.json");
    fs::write(&path, input.to_string()).expect("the folder can be written");
    let status = Command::new(command)
        .args(["run", "--quiet", "--output"])
        .arg(folder.path().join("out.jsonl"))
        .arg(&path)
        .env("OPENAI_BASE_URL", &server.base_url)
        .env("OPENAI_API_KEY", "key")
        .status();
    assert!(status.expect("the command runs").success());
}

fn measure(server: &Server, setup: &Setup, work: impl FnOnce()) -> Measured {
    let cpu = || cpu_time("/proc/self/task").saturating_sub(server.cpu_time());
    let (cpu_before, started) = (cpu(), Instant::now());
    work();
    let (wall, cpu_after) = (started.elapsed(), cpu());
    let calls = setup.records as f64 / setup.concurrency as f64;
    Measured {
        cpu_per_record: cpu_after
            .saturating_sub(cpu_before)
            .div_f64(setup.records as f64),
        share_of_ideal: calls * setup.latency.as_secs_f64() / wall.as_secs_f64(),
    }
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by_key(|measured| measured.cpu_per_record);
    let middle = rounds.len() / 2;
    let mut shares: Vec<f64> = rounds
        .iter()
        .map(|measured| measured.share_of_ideal)
        .collect();
    shares.sort_by(f64::total_cmp);
    Measured {
        cpu_per_record: rounds[middle].cpu_per_record,
        share_of_ideal: shares[middle],
    }
}

const INSTRUCTION: &str = "Generate Q&A pairs about machine learning concepts";

/// What one would write without a library.
async fn bare_loop(server: &Server, setup: &Setup) {
    let client = reqwest_client();
    let permits = Arc::new(Semaphore::new(setup.concurrency));
    let url = format!("{}/chat/completions", server.base_url);
    let mut tasks = JoinSet::new();
    for number in 0..setup.records {
        let permit = Arc::clone(&permits)
            .acquire_owned()
            .await
            .expect("the semaphore is open");
        let (client, url) = (client.clone(), url.clone());
        tasks.spawn(async move {
            let body = json!({
                "model": "bench",
                "messages": [
                    {"role": "system", "content": format!("{INSTRUCTION}. Answer with JSON: {{\"records\": [{{question: string, answer: string}}]}}")},
                    {"role": "user", "content": format!("Write one record. Topic: topic {}", number % 100)},
                ],
            });
            let response = client.post(url).bearer_auth("key").json(&body).send().await.expect("the server answers");
            let answer: Value = response.json().await.expect("the answer is JSON");
            drop(permit);
            let content = answer["choices"][0]["message"]["content"].as_str().expect("there is content");
            let mut content: Value = serde_json::from_str(content).expect("the content is JSON");
            serde_json::from_value::<Qa>(content["records"][0].take()).expect("it is a record")
        });
    }
    let records = tasks.join_all().await;
    assert_eq!(records.len() as u64, setup.records);
}

fn reqwest_client() -> reqwest::Client {
    // As the library does it: ring, unless the process has chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn whole_pipeline(server: &Server, setup: &Setup) {
    let input = GenerateByTopicInput::builder()
        .user_instruction(INSTRUCTION)
        .num_records(setup.records)
        .topics((0..100).map(|topic| format!("topic {topic}")))
        .generation_model("bench/bench")
        .max_concurrency(setup.concurrency)
        .records_per_request(1)
        .output::<Qa>()
        .build()
        .expect("the input is valid");
    let options = ClientOptions::new()
        .base_url(server.base_url.as_str())
        .api_key("key");
    let client =
        OpenAiClient::new(input.generation_model(), options).expect("the options are whole");
    // A client of one's own follows no rate limiter: the server takes all that is asked from the first moment on.
    let pipeline = Pipeline::builder(client).build();
    let dataset = pipeline.generate(input).await.expect("the run completes");
    assert_eq!(dataset.len() as u64, setup.records);
}

/// A loopback server in a thread of its own.
struct Server {
    base_url: String,
    thread: String,
}

impl Server {
    fn start(latency: Duration) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime can be started").block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0")
                    .await
                    .expect("a port is free");
                let address = listener.local_addr().expect("it is bound");
                let thread =
                    fs::read_link("/proc/thread-self").map(|link| link.display().to_string());
                let server = Self {
                    base_url: format!("http://{address}/v1"),
                    thread: format!("/proc/{}", thread.unwrap_or_default()),
                };
                sender.send(server).expect("the starter waits");
                let answers = Arc::new(AtomicU64::new(0));
                loop {
                    let (stream, _) = listener.accept().await.expect("connections come in");
                    tokio::spawn(serve(stream, latency, Arc::clone(&answers)));
                }
            });
        });
        receiver.recv().expect("the server starts")
    }

    fn cpu_time(&self) -> Duration {
        on_cpu(&format!("{}/schedstat", self.thread))
    }
}

async fn serve(stream: TcpStream, latency: Duration, answers: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let header = line.trim_end().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("the length is a number");
            }
            if header.is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        tokio::time::sleep(latency).await;
        let number = answers.fetch_add(1, Ordering::Relaxed);
        let answer = completion(number);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An answer in OpenAI's format with a record that no other answer holds, of the length that such records have.
fn completion(number: u64) -> String {
    let content = json!({"records": [{
        "question": format!("What does the {number}th theorem on learning from examples say about its own bounds?"),
        "answer": format!(
            "The {number}th theorem bounds the error on unseen examples by the error on the examples seen and a \
             term that shrinks as more of them are seen, so that a model with {number} parameters generalises."
        ),
    }]});
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 0, "model": "bench",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content.to_string()}}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 80, "total_tokens": 280},
    })
    .to_string()
}

/// Adds up the time on a core of the threads in this folder.
fn cpu_time(folder: &str) -> Duration {
    let threads = fs::read_dir(folder).expect("this bench reads CPU time from Linux's /proc");
    threads
        .flatten()
        .map(|thread| on_cpu(&thread.path().join("schedstat").display().to_string()))
        .sum()
}

fn on_cpu(schedstat: &str) -> Duration {
    // A thread may end while its folder is read.
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
