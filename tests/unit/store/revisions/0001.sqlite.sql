CREATE TABLE checkpoints (
	"key" BLOB NOT NULL, 
	source TEXT NOT NULL, 
	position BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "checkpoints" VALUES(X'E7CF43FEF39521703FEC9AB28C157B67','export.jsonl',17,'{"line":3}','2026-11-21T10:55:00.851796+00:00');
CREATE TABLE feedback (
	"key" BLOB NOT NULL, 
	id TEXT NOT NULL, 
	request_key BLOB NOT NULL, 
	request_id TEXT NOT NULL, 
	time TEXT NOT NULL, 
	signal TEXT NOT NULL, 
	value TEXT, 
	rater TEXT NOT NULL, 
	role TEXT NOT NULL, 
	comment TEXT, 
	name TEXT, 
	program TEXT, 
	consent TEXT, 
	origin TEXT NOT NULL, 
	raw TEXT, 
	hash BLOB NOT NULL, 
	received_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "feedback" VALUES(X'07530BE40BDD289C48724A0110EFF054','f2',X'7F4C98DF2944EF659A32DFFA6E3B6EB5','r9','2026-03-02T10:00:00+00:00','score','0.5','a1','agent',NULL,'quality',NULL,'[]','','"x"',X'98095D9DE9A3CE67F05AB0B99BBB9BFB','2026-11-21T10:55:00.851796+00:00');
INSERT INTO "feedback" VALUES(X'2A6AF2FF667C054F530A8B46D0038438','f1',X'8C97518621991A8A21FE6A33B746D838','r1','2026-03-02T10:00:00+00:00','correction','{"team":"billing"}','a1','agent','no',NULL,'triage',NULL,'',NULL,X'4448B9D28FACC5A2A405CD14F340F20E','2026-11-21T10:55:00.851796+00:00');
CREATE TABLE marks (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "marks" VALUES('events_before_are_refused','2020-01-01T00:00:00+00:00');
CREATE TABLE requests (
	"key" BLOB NOT NULL, 
	id TEXT NOT NULL, 
	time TEXT NOT NULL, 
	program TEXT NOT NULL, 
	user TEXT, 
	session TEXT, 
	parent TEXT, 
	version TEXT, 
	model TEXT, 
	latency_ms DOUBLE, 
	cost_usd DOUBLE, 
	error TEXT, 
	inputs TEXT NOT NULL, 
	outputs TEXT NOT NULL, 
	usage TEXT, 
	slices TEXT NOT NULL, 
	consent TEXT, 
	origin TEXT NOT NULL, 
	raw TEXT, 
	hash BLOB NOT NULL, 
	received_at TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "requests" VALUES(X'47F3A64B3095C9D89330A2B8813C83A7','r2','2026-03-01T10:00:00+00:00','triage',NULL,'s','r1','v1','m',12.5,0.001,'timeout; it''s late','{"message":"where is my card?"}','{}','{"input_tokens":3}','{}','["train"]','',NULL,X'B4A93C1D7DEB4714D18990A62A2EB98A','2026-11-21T10:55:00.851796+00:00');
INSERT INTO "requests" VALUES(X'8C97518621991A8A21FE6A33B746D838','r1','2026-03-01T10:00:00+00:00','triage','u1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"message":"where is my card?"}','{"team":"cards"}',NULL,'{"language":"de"}',NULL,'langfuse','{"n":[1,2.5,null]}',X'F9E69262AF162265C0B784FA1C67A8D8','2026-11-21T10:55:00.851796+00:00');
CREATE TABLE tombstones (
	hash BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (hash)
);
INSERT INTO "tombstones" VALUES(X'D3E37A3EF83BCA94482BC33F53AE55FEB3B2B61EBDD66861A6B8B5B23712B287','request');
CREATE TABLE upturn_store_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT upturn_store_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "upturn_store_version" VALUES('0001');
CREATE INDEX ix_requests_program ON requests (program);
CREATE INDEX ix_feedback_request_key ON feedback (request_key);
