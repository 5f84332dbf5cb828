-- Records of a shared run so far, as whoever drives it says every few seconds: for those that stand by.
ALTER TABLE topicloom.runs ADD COLUMN accepted bigint NOT NULL DEFAULT 0;
