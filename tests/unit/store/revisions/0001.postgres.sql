CREATE TABLE checkpoints (
    key bytea NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    updated_at text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE feedback (
    key bytea NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    request_key bytea NOT NULL,
    request_id text NOT NULL COLLATE pg_catalog."C",
    "time" text NOT NULL COLLATE pg_catalog."C",
    signal text NOT NULL COLLATE pg_catalog."C",
    value text COLLATE pg_catalog."C",
    rater text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    comment text COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    program text COLLATE pg_catalog."C",
    consent text COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C",
    raw text COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    received_at text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE marks (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE requests (
    key bytea NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    "time" text NOT NULL COLLATE pg_catalog."C",
    program text NOT NULL COLLATE pg_catalog."C",
    "user" text COLLATE pg_catalog."C",
    session text COLLATE pg_catalog."C",
    parent text COLLATE pg_catalog."C",
    version text COLLATE pg_catalog."C",
    model text COLLATE pg_catalog."C",
    latency_ms double precision,
    cost_usd double precision,
    error text COLLATE pg_catalog."C",
    inputs text NOT NULL COLLATE pg_catalog."C",
    outputs text NOT NULL COLLATE pg_catalog."C",
    usage text COLLATE pg_catalog."C",
    slices text NOT NULL COLLATE pg_catalog."C",
    consent text COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C",
    raw text COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    received_at text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE tombstones (
    hash bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE upturn_store_version (
    version_num character varying(32) NOT NULL
);
INSERT INTO checkpoints VALUES ('\xe7cf43fef39521703fec9ab28c157b67', 'export.jsonl', 17, '{"line":3}', '2026-11-21T10:55:01.698273+00:00');
INSERT INTO feedback VALUES ('\x07530be40bdd289c48724a0110eff054', 'f2', '\x7f4c98df2944ef659a32dffa6e3b6eb5', 'r9', '2026-03-02T10:00:00+00:00', 'score', '0.5', 'a1', 'agent', NULL, 'quality', NULL, '[]', '', '"x"', '\x98095d9de9a3ce67f05ab0b99bbb9bfb', '2026-11-21T10:55:01.698273+00:00');
INSERT INTO feedback VALUES ('\x2a6af2ff667c054f530a8b46d0038438', 'f1', '\x8c97518621991a8a21fe6a33b746d838', 'r1', '2026-03-02T10:00:00+00:00', 'correction', '{"team":"billing"}', 'a1', 'agent', 'no', NULL, 'triage', NULL, '', NULL, '\x4448b9d28facc5a2a405cd14f340f20e', '2026-11-21T10:55:01.698273+00:00');
INSERT INTO marks VALUES ('events_before_are_refused', '2020-01-01T00:00:00+00:00');
INSERT INTO requests VALUES ('\x47f3a64b3095c9d89330a2b8813c83a7', 'r2', '2026-03-01T10:00:00+00:00', 'triage', NULL, 's', 'r1', 'v1', 'm', 12.5, 0.001, 'timeout; it''s late', '{"message":"where is my card?"}', '{}', '{"input_tokens":3}', '{}', '["train"]', '', NULL, '\xb4a93c1d7deb4714d18990a62a2eb98a', '2026-11-21T10:55:01.698273+00:00');
INSERT INTO requests VALUES ('\x8c97518621991a8a21fe6a33b746d838', 'r1', '2026-03-01T10:00:00+00:00', 'triage', 'u1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"message":"where is my card?"}', '{"team":"cards"}', NULL, '{"language":"de"}', NULL, 'langfuse', '{"n":[1,2.5,null]}', '\xf9e69262af162265c0b784fa1c67a8d8', '2026-11-21T10:55:01.698273+00:00');
INSERT INTO tombstones VALUES ('\xd3e37a3ef83bca94482bc33f53ae55feb3b2b61ebdd66861a6b8b5b23712b287', 'request');
INSERT INTO upturn_store_version VALUES ('0001');
ALTER TABLE ONLY checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (key);
ALTER TABLE ONLY feedback
    ADD CONSTRAINT feedback_pkey PRIMARY KEY (key);
ALTER TABLE ONLY marks
    ADD CONSTRAINT marks_pkey PRIMARY KEY (name);
ALTER TABLE ONLY requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (key);
ALTER TABLE ONLY tombstones
    ADD CONSTRAINT tombstones_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY upturn_store_version
    ADD CONSTRAINT upturn_store_version_pkc PRIMARY KEY (version_num);
CREATE INDEX ix_feedback_request_key ON feedback USING btree (request_key);
CREATE INDEX ix_requests_program ON requests USING btree (program);
