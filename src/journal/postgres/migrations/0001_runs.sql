-- Journals and shared runs. What a run is called is data; nothing here is named after one.

CREATE TABLE topicloom.runs (
    id       text PRIMARY KEY,
    -- Grows by one each time a process becomes the writer; an append of an earlier term is refused.
    term     bigint NOT NULL DEFAULT 0,
    -- How many entries there are.
    entries  bigint NOT NULL DEFAULT 0,
    -- The input in its canonical form, as JSON text: that of the last start.
    input    bytea,
    -- Whether its calls are handed out as leases.
    shared   boolean NOT NULL DEFAULT false,
    -- Until when whoever drives a shared run is taken to be alive.
    driven_until timestamptz,
    -- How a shared run ended, and why; null while it goes on.
    ended    text,
    reason   text,
    created  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE topicloom.entries (
    run     text NOT NULL REFERENCES topicloom.runs ON DELETE CASCADE,
    number  bigint NOT NULL,
    -- JSON text. Not of the type `json`, whose texts cannot hold what the encoding of the database lacks.
    body    bytea NOT NULL,
    PRIMARY KEY (run, number)
);

CREATE VIEW topicloom.readable_entries AS
    SELECT run, number, convert_from(body, 'UTF8')::json AS entry FROM topicloom.entries;

-- Calls that are asked for, being made, or answered and not in the log yet.
CREATE TABLE topicloom.leases (
    run           text NOT NULL REFERENCES topicloom.runs ON DELETE CASCADE,
    -- The seed of the request.
    key           bigint NOT NULL,
    -- The task it is made for; null for topics.
    task          bigint,
    topic         bigint,
    wanted        bigint,
    round         bigint,
    request       bytea NOT NULL,
    -- Which try of the call this is.
    attempt       integer NOT NULL DEFAULT 1,
    issued        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who makes the call, and until when nobody else does.
    worker        text,
    leased_until  timestamptz,
    -- How it went, once it did.
    result        bytea,
    PRIMARY KEY (run, key)
) WITH (fillfactor = 50); -- Room for the renewals to stay on their page.

-- Leases whose worker let the deadline pass, so that they were handed out again.
CREATE TABLE topicloom.lost_leases (
    run     text NOT NULL REFERENCES topicloom.runs ON DELETE CASCADE,
    key     bigint NOT NULL,
    worker  text NOT NULL,
    noticed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX lost_leases_run ON topicloom.lost_leases (run);
