-- A catalogue of schema version 3, as the sqlite3 shell dumps it: that of version-2.sql after its migration, and
-- compose 9 was resolved.
PRAGMA application_id = 1868849011;
PRAGMA user_version = 3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE composes (
	id               INTEGER PRIMARY KEY AUTOINCREMENT, -- counts from 1
	request          INTEGER NOT NULL,            -- requests.number it came by (its row may be gone)
	owner            TEXT    NOT NULL,            -- user name; "unknown" = anonymous
	uid              INTEGER NOT NULL,            -- numeric user id
	gid              INTEGER NOT NULL,            -- numeric group id
	state            INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- ODCS number: wait 0,
	                                              -- generating 1, done 2, removed 3, failed 4
	state_reason     TEXT,                        -- shown as it is; NULL in wait
	source_type      INTEGER NOT NULL CHECK (source_type BETWEEN 1 AND 7), -- ODCS number
	source           TEXT    NOT NULL,            -- blank-joined words, as shown
	compose_type     TEXT    NOT NULL,            -- word: test, ci, nightly, production, development
	label            TEXT,                        -- such as RC-1.0, or NULL
	time_submitted   INTEGER NOT NULL,            -- s since 1970
	time_to_expire   INTEGER NOT NULL,            -- s since 1970
	time_started     INTEGER NOT NULL DEFAULT 0,  -- s since 1970; when generating began
	time_done        INTEGER NOT NULL DEFAULT 0,  -- s since 1970; stays 0 when it failed
	time_removed     INTEGER NOT NULL DEFAULT 0,  -- s since 1970
	removed_by       TEXT,                        -- user name of who deleted it, or NULL
	koji_event       INTEGER NOT NULL DEFAULT -1, -- event number (repo: repomd revision); -1 = none
	koji_task_id     INTEGER,                     -- Koji task number, or NULL
	pungi_compose_id TEXT,                        -- odcs-ID-1-YYYYMMDD.t.0; NULL before generating
	respin_of        TEXT,                        -- pungi_compose_id of the compose it renews, or NULL
	sigkeys          TEXT    NOT NULL,            -- blank-joined, as shown
	arches           TEXT    NOT NULL,            -- blank-joined, as shown
	reused_id        INTEGER NOT NULL DEFAULT 0,  -- composes.id whose tree this one shows; 0 = its own
	manifest         TEXT,                        -- SHA-256, 64 hex digits; NULL before done
	packages_count   INTEGER NOT NULL DEFAULT 0,  -- number of RPMs in the tree
	size_bytes       INTEGER NOT NULL DEFAULT 0   -- bytes offered to clients
, question TEXT, inputs TEXT);
INSERT INTO "composes" VALUES(1,1,'alice',1000,1000,3,'Compose is generated successfully
Removed by admin.',1,'f26','test',NULL,1700000010,1700000130,1700000085,1700000090,1700007330,'admin',-1,NULL,'odcs-1-1-20231114.t.0',NULL,'AA','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789,NULL,NULL);
INSERT INTO "composes" VALUES(2,4,'bob',1001,1000,3,'Compose is generated successfully
Compose is expired.',2,'testmodule:master perl:5.24','test',NULL,1700000020,1700003700,1700000095,1700000100,1700007330,NULL,-1,NULL,'odcs-2-1-20231114.t.0',NULL,'','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789,NULL,NULL);
INSERT INTO "composes" VALUES(3,5,'alice',1000,1000,4,'Error while generating compose: Unknown Koji tag f26.',3,'/srv/repo','production','RC-1.0',1700000030,1700086510,1700000105,0,0,NULL,-1,NULL,'odcs-3-1-20231114.0',NULL,'','x86_64 s390x',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(4,6,'bob',1001,1000,2,'Compose is generated successfully',6,'','test',NULL,1700000040,1700086520,1700000115,1700000120,0,NULL,-1,NULL,'odcs-4-1-20231114.t.0',NULL,'','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789,NULL,NULL);
INSERT INTO "composes" VALUES(5,7,'alice',1000,1000,1,'Compose thread started',1,'f26','test',NULL,1700000050,1700086450,1700000125,0,0,NULL,-1,NULL,'odcs-5-1-20231114.t.0',NULL,'AA','x86_64',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(6,8,'bob',1001,1000,0,NULL,2,'testmodule:master perl:5.24','test',NULL,1700000060,1700003660,0,0,0,NULL,-1,NULL,NULL,'odcs-1-1-20231114.t.0','','x86_64',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(7,9,'alice',1000,1000,0,NULL,3,'/srv/repo','production','RC-1.0',1700000070,1700086470,0,0,0,NULL,-1,NULL,NULL,NULL,'','x86_64 s390x',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(8,10,'bob',1001,1000,4,'Canceled by alice',6,'','test',NULL,1700000080,1700086530,0,0,0,NULL,-1,NULL,NULL,NULL,'','x86_64',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(9,11,'alice',1000,1000,2,'Compose is generated successfully',3,'/r','test',NULL,1700000090,1800000000,1700000105,1700000110,0,NULL,7,NULL,'odcs-9-1-20231114.t.0',NULL,'','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb');
INSERT INTO "composes" VALUES(10,12,'alice',1000,1000,2,'Compose is generated successfully',3,'/r','test',NULL,1700000100,1800000000,1700000125,1700000130,0,NULL,7,NULL,'odcs-9-1-20231114.t.0',NULL,'','x86_64',9,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789,NULL,NULL);
INSERT INTO "composes" VALUES(11,13,'alice',1000,1000,1,'Compose thread started',3,'/r','test',NULL,1700000110,1800000000,1700000145,0,0,NULL,-1,NULL,'odcs-11-1-20231114.t.0',NULL,'','x86_64',0,NULL,0,0,NULL,NULL);
INSERT INTO "composes" VALUES(12,14,'alice',1000,1000,0,NULL,3,'/r','test',NULL,1700000120,1800000000,0,0,0,NULL,-1,NULL,NULL,NULL,'','x86_64',0,NULL,0,0,NULL,NULL);
CREATE TABLE requests (
	number       INTEGER PRIMARY KEY AUTOINCREMENT, -- counts from 1; inode numbers are made from it
	name         TEXT    NOT NULL UNIQUE,           -- directory name, at most 100 bytes
	owner        TEXT    NOT NULL,                  -- user name
	uid          INTEGER NOT NULL,                  -- numeric user id
	gid          INTEGER NOT NULL,                  -- numeric group id
	mode         INTEGER NOT NULL,                  -- permission bits, 0 to 07777
	time_created INTEGER NOT NULL,                  -- s since 1970; or of the last rename or chmod
	compose_id   INTEGER NOT NULL DEFAULT 0,        -- composes.id; 0 = still a draft
	time_removed INTEGER NOT NULL DEFAULT 0,        -- s since 1970; when its compose was removed
	note         TEXT                               -- user's free text, or NULL
);
INSERT INTO "requests" VALUES(1,'nightly','alice',1000,1000,493,1700000000,1,1700007330,NULL);
INSERT INTO "requests" VALUES(2,'draft','bob',1001,1001,448,1700000000,0,0,'remember me');
INSERT INTO "requests" VALUES(4,'auto-2','bob',1001,1000,493,1700000020,2,1700007330,NULL);
INSERT INTO "requests" VALUES(5,'auto-3','alice',1000,1000,493,1700000030,3,0,NULL);
INSERT INTO "requests" VALUES(6,'auto-4','bob',1001,1000,493,1700000040,4,0,NULL);
INSERT INTO "requests" VALUES(7,'auto-5','alice',1000,1000,493,1700000050,5,0,NULL);
INSERT INTO "requests" VALUES(8,'auto-6','bob',1001,1000,493,1700000060,6,0,NULL);
INSERT INTO "requests" VALUES(9,'auto-7','alice',1000,1000,493,1700000070,7,0,NULL);
INSERT INTO "requests" VALUES(10,'auto-8','bob',1001,1000,493,1700000080,8,0,NULL);
INSERT INTO "requests" VALUES(11,'auto-9','alice',1000,1000,493,1700000090,9,0,NULL);
INSERT INTO "requests" VALUES(12,'auto-10','alice',1000,1000,493,1700000100,10,0,NULL);
INSERT INTO "requests" VALUES(13,'auto-11','alice',1000,1000,493,1700000110,11,0,NULL);
INSERT INTO "requests" VALUES(14,'auto-12','alice',1000,1000,493,1700000120,12,0,NULL);
CREATE TABLE specs (
	compose INTEGER PRIMARY KEY,   -- composes.id
	spec    TEXT NOT NULL,         -- normal form, JSON text, bytes of UTF-8
	written BLOB NOT NULL          -- as the user wrote it, bytes
);
INSERT INTO "specs" VALUES(1,'{"arches":["x86_64"],"compose_type":"test","flags":1,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["httpd","nginx"],"results":1,"seconds_to_live":86400,"sigkeys":["AA"],"source":["f26"],"source_type":1,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A22746167222C22736F75726365223A22663236222C227061636B61676573223A5B226874747064222C226E67696E78225D2C227369676B657973223A5B224141225D7D2C22666C616773223A5B226E6F5F64657073225D7D');
INSERT INTO "specs" VALUES(2,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":3600,"sigkeys":[],"source":["testmodule:master","perl:5.24"],"source_type":2,"target_dir":"default"}',X'7B2022736F75726365223A207B202274797065223A20226D6F64756C65222C2022736F75726365223A2022746573746D6F64756C653A6D6173746572207065726C3A352E323422207D2C20227365636F6E64735F746F5F6C697665223A2033363030207D0A');
INSERT INTO "specs" VALUES(3,'{"arches":["x86_64","s390x"],"compose_type":"production","flags":0,"label":"RC-1.0","lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["göpher"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/srv/repo"],"source_type":3,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A227265706F222C22736F75726365223A222F7372762F7265706F222C227061636B61676573223A5B2267C3B670686572225D7D2C22617263686573223A5B227838365F3634222C227333393078225D2C226C6162656C223A2252432D312E30222C22636F6D706F73655F74797065223A2270726F64756374696F6E227D');
INSERT INTO "specs" VALUES(4,'{"arches":["x86_64"],"builds":["foo-1-1"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":86400,"sigkeys":[],"source":[],"source_type":6,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A226275696C64222C22736F75726365223A22222C226275696C6473223A5B22666F6F2D312D31225D7D7D');
INSERT INTO "specs" VALUES(5,'{"arches":["x86_64"],"compose_type":"test","flags":1,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["httpd","nginx"],"results":1,"seconds_to_live":86400,"sigkeys":["AA"],"source":["f26"],"source_type":1,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A22746167222C22736F75726365223A22663236222C227061636B61676573223A5B226874747064222C226E67696E78225D2C227369676B657973223A5B224141225D7D2C22666C616773223A5B226E6F5F64657073225D7D');
INSERT INTO "specs" VALUES(6,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":3600,"sigkeys":[],"source":["testmodule:master","perl:5.24"],"source_type":2,"target_dir":"default"}',X'7B2022736F75726365223A207B202274797065223A20226D6F64756C65222C2022736F75726365223A2022746573746D6F64756C653A6D6173746572207065726C3A352E323422207D2C20227365636F6E64735F746F5F6C697665223A2033363030207D0A');
INSERT INTO "specs" VALUES(7,'{"arches":["x86_64","s390x"],"compose_type":"production","flags":0,"label":"RC-1.0","lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["göpher"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/srv/repo"],"source_type":3,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A227265706F222C22736F75726365223A222F7372762F7265706F222C227061636B61676573223A5B2267C3B670686572225D7D2C22617263686573223A5B227838365F3634222C227333393078225D2C226C6162656C223A2252432D312E30222C22636F6D706F73655F74797065223A2270726F64756374696F6E227D');
INSERT INTO "specs" VALUES(8,'{"arches":["x86_64"],"builds":["foo-1-1"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":86400,"sigkeys":[],"source":[],"source_type":6,"target_dir":"default"}',X'7B22736F75726365223A7B2274797065223A226275696C64222C22736F75726365223A22222C226275696C6473223A5B22666F6F2D312D31225D7D7D');
INSERT INTO "specs" VALUES(9,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["a","b"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/r"],"source_type":3,"target_dir":"default"}','{"source":{"type":"repo","source":"/r","packages":["a","b"]}}');
INSERT INTO "specs" VALUES(10,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["a","b"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/r"],"source_type":3,"target_dir":"default"}','{"source":{"type":"repo","source":"/r","packages":["a","b"]}}');
INSERT INTO "specs" VALUES(11,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["a","b"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/r"],"source_type":3,"target_dir":"default"}','{"source":{"type":"repo","source":"/r","packages":["a","b"]}}');
INSERT INTO "specs" VALUES(12,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["a","b"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/r"],"source_type":3,"target_dir":"default"}','{"source":{"type":"repo","source":"/r","packages":["a","b"]}}');
CREATE TABLE tallies (
	source_type INTEGER NOT NULL, -- ODCS number, as in composes
	state       INTEGER NOT NULL, -- ODCS number, as in composes
	count       INTEGER NOT NULL, -- rows of composes
	PRIMARY KEY (source_type, state)
) WITHOUT ROWID;
INSERT INTO "tallies" VALUES(1,1,1);
INSERT INTO "tallies" VALUES(1,3,1);
INSERT INTO "tallies" VALUES(2,0,1);
INSERT INTO "tallies" VALUES(2,3,1);
INSERT INTO "tallies" VALUES(3,0,2);
INSERT INTO "tallies" VALUES(3,1,1);
INSERT INTO "tallies" VALUES(3,2,2);
INSERT INTO "tallies" VALUES(3,4,1);
INSERT INTO "tallies" VALUES(6,2,1);
INSERT INTO "tallies" VALUES(6,4,1);
CREATE TABLE turns (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- counts claims from 1
	owner  TEXT NOT NULL UNIQUE               -- user name
);
INSERT INTO "turns" VALUES(4,'bob');
INSERT INTO "turns" VALUES(5,'alice');
CREATE INDEX requests_drafts_of ON requests (uid) WHERE compose_id = 0;
CREATE INDEX requests_drafts_old ON requests (time_created) WHERE compose_id = 0;
CREATE INDEX requests_history ON requests (time_removed) WHERE time_removed > 0;
CREATE INDEX composes_owner ON composes (owner);
CREATE INDEX composes_koji_event ON composes (koji_event);
CREATE INDEX composes_state ON composes (state);
CREATE INDEX composes_time_to_expire ON composes (time_to_expire);
CREATE INDEX composes_time_submitted ON composes (time_submitted);
CREATE INDEX composes_time_done ON composes (time_done);
CREATE INDEX composes_time_removed ON composes (time_removed);
CREATE INDEX composes_source_type ON composes (source_type);
CREATE INDEX composes_source ON composes (source);
CREATE INDEX composes_compose_type ON composes (compose_type);
CREATE INDEX composes_label ON composes (label) WHERE label IS NOT NULL;
CREATE INDEX composes_koji_task_id ON composes (koji_task_id) WHERE koji_task_id IS NOT NULL;
CREATE INDEX composes_pungi ON composes (pungi_compose_id) WHERE pungi_compose_id IS NOT NULL;
CREATE INDEX composes_active ON composes (state, owner) WHERE state < 3;
CREATE INDEX composes_expiry ON composes (time_to_expire) WHERE state IN (2, 4);
CREATE INDEX composes_present ON composes (id) WHERE state <> 3;
CREATE INDEX composes_manifest ON composes (manifest) WHERE state <> 3 AND manifest IS NOT NULL;
CREATE INDEX composes_reused ON composes (reused_id) WHERE reused_id > 0;
CREATE TRIGGER composes_stay BEFORE DELETE ON composes
BEGIN
	SELECT RAISE(ABORT, 'rows of composes are never deleted');
END;
CREATE TRIGGER composes_tally_new AFTER INSERT ON composes
BEGIN
	INSERT INTO tallies VALUES (new.source_type, new.state, 1)
		ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER composes_tally_move AFTER UPDATE OF source_type, state ON composes
	WHEN old.state IS NOT new.state OR old.source_type IS NOT new.source_type
BEGIN
	UPDATE tallies SET count = count - 1 WHERE source_type = old.source_type AND state = old.state;
	INSERT INTO tallies VALUES (new.source_type, new.state, 1)
		ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE INDEX composes_question ON composes (question, inputs, state)
	WHERE question IS NOT NULL AND reused_id = 0 AND state IN (1, 2);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('requests',14);
INSERT INTO "sqlite_sequence" VALUES('composes',12);
INSERT INTO "sqlite_sequence" VALUES('turns',5);
COMMIT;
