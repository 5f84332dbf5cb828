-- Calls that were about to be sent, by the process that had this term; `place` is the number of entries before the note.
CREATE TABLE topicloom.notes (
    run     text NOT NULL REFERENCES topicloom.runs ON DELETE CASCADE,
    place   bigint NOT NULL,
    term    bigint NOT NULL,
    number  bigint NOT NULL,
    -- JSON text, as of an entry.
    body    bytea NOT NULL,
    PRIMARY KEY (run, place, term, number)
);
