//! Proxies are set in the environment, as for curl, so the command is what is run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::json;

/// Serves a proxy in the place of whatever it is asked to reach. Returns its address, and what it is asked for.
fn proxy(serve: fn(TcpStream) -> Option<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if let Some(target) = serve(stream.unwrap()) {
                let _ = sender.send(target);
            }
        }
    });
    (address, asked)
}

/// Takes a request and answers it. Returns what it was for.
fn over_http(stream: TcpStream) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    for line in stream.by_ref().lines() {
        match line.ok()? {
            line if line.is_empty() => break,
            line => lines.push(line),
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    stream
        .read_exact(&mut vec![0; length?.parse().ok()?])
        .ok()?;
    let content = json!({"records": [{"question": "What rises?", "answer": "The tide."}]});
    let message = json!({"role": "assistant", "content": content.to_string()});
    let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .into_inner()
        .write_all((head + &body).as_bytes())
        .ok()?;
    lines.into_iter().next()
}

/// Connects by SOCKS 5 (RFC 1928) to a host by its name.
fn over_socks(mut stream: TcpStream) -> Option<String> {
    let mut methods = [0; 2];
    stream.read_exact(&mut methods).ok()?;
    stream.read_exact(&mut vec![0; methods[1].into()]).ok()?;
    stream.write_all(&[5, 0]).ok()?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let mut name = vec![0; usize::from(head[4]) + 2];
    stream.read_exact(&mut name).ok()?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    over_http(stream)?;
    name.truncate(name.len() - 2);
    String::from_utf8(name).ok()
}

#[test]
fn a_proxy_in_the_environment_is_asked() {
    let (http, asked_http) = proxy(over_http);
    let (socks, asked_socks) = proxy(over_socks);
    let request = "POST http://llm.house.invalid/v1/chat/completions HTTP/1.1";
    for (variable, url, asked, expected) in [
        ("http_proxy", format!("http://{http}"), &asked_http, request),
        ("ALL_PROXY", format!("http://{http}"), &asked_http, request),
        (
            "ALL_PROXY",
            format!("socks5h://{socks}"),
            &asked_socks,
            "llm.house.invalid",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let input = json!({
            "user_instruction": "Questions about the sea", "num_records": 1, "topics": ["tides"],
            "generation_model_name": "house/model",
        });
        fs::write(folder.path().join("input.json"), input.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_topicloom"));
        for set in [
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(set);
        }
        let output = command
            .args(["run", "--quiet", "input.json"])
            .current_dir(folder.path())
            .env("HOUSE_API_BASE", "http://llm.house.invalid/v1")
            .env(variable, &url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{variable}={url}: {said}");
        assert_eq!(asked.recv().unwrap(), expected, "{variable}={url}");
    }
}
