#!/usr/bin/env python3
"""Compares what prompts show on a real model: python3 compare.py TOPICLOOM MODEL_URL EMBEDDINGS_URL [--calls 24] [--seeds 5]

MODEL_URL is a server of the OpenAI API that enforces `json_schema`, such as llama.cpp's; EMBEDDINGS_URL one with /v1/embeddings.
Each arm makes that number of calls with each seed, and the sums over all seeds are printed after each of them:

- default, none, three, one: the command with its defaults, with `avoid_examples` 0 and 3, and with `records_per_request` 1;
- upstream: Starfish's way, one record a call and one random earlier record as "do not repeat", in three lines.

`distinct` are records of which no two of one run have embeddings with a cosine of 0.9 or more. Only Python's own library is used.
"""
import argparse
import concurrent.futures
import http.server
import json
import os
import random
import subprocess
import tempfile
import threading
import urllib.request

INSTRUCTION = "Generate Q&A pairs about machine learning concepts"
TOPICS = ["supervised learning", "unsupervised learning", "reinforcement learning", "neural networks"]
FIELDS = ["question", "answer"]
AT_ONCE = 4
MAX_TOKENS = 160
# What an answer has room for goes with the records that it is asked for.
ARMS = {
    "default": {"room_for": 5},
    "upstream": None,
    "none": {"avoid_examples": 0, "room_for": 5},
    "three": {"avoid_examples": 3, "room_for": 5},
    "one": {"records_per_request": 1},
}


def post(url, body):
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=3600) as response:
        return json.load(response)


class Listener:
    """Stands between the command and the model, and keeps the answers."""

    def __init__(self, model):
        answers = self.answers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                try:
                    status, answer = 200, post(model + self.path, body)
                    answers.append(answer)
                except OSError as error:
                    status, answer = getattr(error, "code", 502), {"error": {"message": "the model failed"}}
                answer = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def upstream(url, calls, seed):
    draw, earlier, lock = random.Random(seed), {topic: [] for topic in TOPICS}, threading.Lock()
    record = {"type": "object", "properties": {name: {"type": "string"} for name in FIELDS}, "required": FIELDS, "additionalProperties": False}
    schema = {"type": "object", "properties": {"records": {"type": "array", "items": record, "minItems": 1, "maxItems": 1}}, "required": ["records"], "additionalProperties": False}

    def ask(call):
        topic = TOPICS[call % len(TOPICS)]
        with lock:
            shown = draw.choice(earlier[topic]) if earlier[topic] else None
            call_seed = draw.randrange(2**31)
        avoid = f"Here is existing data; do not repeat it:\n{shown}\n" if shown else ""
        form = 'Write exactly 1 record as JSON: {"records": [{"question": "", "answer": ""}]}. Return the JSON only.'
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": f"Task: {INSTRUCTION}\nTopic: {topic}\n{avoid}{form}"}],
            "temperature": 0.8,
            "max_tokens": MAX_TOKENS,
            "seed": call_seed,
            "response_format": {"type": "json_schema", "json_schema": {"name": "records", "strict": True, "schema": schema}},
        }
        for found in records([post(url + "/v1/chat/completions", body)]):
            with lock:
                earlier[topic].append(json.dumps(found))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, range(calls)))


def command(topicloom, url, calls, seed, settings):
    """Returns the command's report."""
    given = {
        "user_instruction": INSTRUCTION,
        "num_records": 10 * calls,
        "topics": TOPICS,
        "generation_model_name": "llama.cpp/m",
        "generation_model_kwargs": {"temperature": 0.8, "max_tokens": MAX_TOKENS * settings.get("room_for", 1)},
        "output_schema": [{"name": name, "type": "str"} for name in FIELDS],
        "data_factory_config": {
            "max_concurrency": AT_ONCE, "task_runner_timeout": 3600, "max_calls": calls, "dead_queue_threshold": 1000,
            "seed": seed, "show_progress": False, **{key: value for key, value in settings.items() if key != "room_for"},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("input.json", "records.jsonl", "report.json")]
        with open(paths[0], "w") as file:
            json.dump(given, file)
        arguments = [topicloom, "run", paths[0], "-o", paths[1], "--report", paths[2]]
        # It ends short, since more is asked for than the calls can bring.
        subprocess.run(arguments, env={**os.environ, "LLAMA_CPP_API_BASE": url}, capture_output=True, check=False)
        with open(paths[2]) as file:
            return json.load(file)


def records(answers):
    found = []
    for answer in answers:
        try:
            content = json.loads(answer["choices"][0]["message"]["content"])["records"]
            found += [record for record in content if all(isinstance(record[name], str) for name in FIELDS)]
        except (ValueError, KeyError, TypeError):
            pass
    return found


def distinct(found, embeddings):
    kept, texts = [], [" ".join(record[name] for name in FIELDS) for record in found]
    for start in range(0, len(texts), 32):
        for row in post(embeddings + "/v1/embeddings", {"model": "m", "input": texts[start:start + 32]})["data"]:
            vector = row["embedding"]
            if all(sum(x * y for x, y in zip(vector, other)) < 0.9 for other in kept):
                kept.append(vector)
    return len(kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topicloom")
    parser.add_argument("model")
    parser.add_argument("embeddings")
    parser.add_argument("--calls", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--arms", default=json.dumps(ARMS), help="names with their settings, as JSON")
    given = parser.parse_args()
    arms = json.loads(given.arms)
    sums = {name: dict.fromkeys(("calls", "tokens", "records", "accepted", "copies", "distinct"), 0) for name in arms}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for name, settings in arms.items():
            listener, row = Listener(given.model), sums[name]
            if settings is None:
                upstream(listener.url, given.calls, seed)
            else:
                report = command(given.topicloom, listener.url, given.calls, seed, settings)
                row["accepted"] += report["accepted"]
                row["copies"] += report.get("copies", 0)
            found = records(listener.answers)
            row["calls"] += len(listener.answers)
            row["tokens"] += sum(answer["usage"]["total_tokens"] for answer in listener.answers)
            row["records"] += len(found)
            row["distinct"] += distinct(found, given.embeddings)
            per_call = round(row["distinct"] / max(row["calls"], 1), 3)
            per_1000 = round(1000 * row["distinct"] / max(row["tokens"], 1), 2)
            print(json.dumps({"seed": seed, "arm": name, **row, "distinct per call": per_call, "distinct per 1000 tokens": per_1000}), flush=True)


main()
