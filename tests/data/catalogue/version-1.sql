-- A catalogue of schema version 1, as the sqlite3 shell dumps it: eight composes in all five states, a
-- draft, and a request that was dropped. The two pragmas are what a dump leaves out.
PRAGMA application_id = 1868849011;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO requests VALUES(1,'nightly','alice',1000,1000,493,1700000000,1,1700007330,NULL);
INSERT INTO requests VALUES(2,'draft','bob',1001,1001,448,1700000000,0,0,'remember me');
INSERT INTO requests VALUES(4,'auto-2','bob',1001,1000,493,1700000020,2,1700007330,NULL);
INSERT INTO requests VALUES(5,'auto-3','alice',1000,1000,493,1700000030,3,0,NULL);
INSERT INTO requests VALUES(6,'auto-4','bob',1001,1000,493,1700000040,4,0,NULL);
INSERT INTO requests VALUES(7,'auto-5','alice',1000,1000,493,1700000050,5,0,NULL);
INSERT INTO requests VALUES(8,'auto-6','bob',1001,1000,493,1700000060,6,0,NULL);
INSERT INTO requests VALUES(9,'auto-7','alice',1000,1000,493,1700000070,7,0,NULL);
INSERT INTO requests VALUES(10,'auto-8','bob',1001,1000,493,1700000080,8,0,NULL);
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
);
INSERT INTO composes VALUES(1,1,'alice',1000,1000,3,replace('Compose is generated successfully\nRemoved by admin.','\n',char(10)),1,'f26','test',NULL,1700000010,1700000130,1700000085,1700000090,1700007330,'admin',-1,NULL,'odcs-1-1-20231114.t.0',NULL,'AA','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789);
INSERT INTO composes VALUES(2,4,'bob',1001,1000,3,replace('Compose is generated successfully\nCompose is expired.','\n',char(10)),2,'testmodule:master perl:5.24','test',NULL,1700000020,1700003700,1700000095,1700000100,1700007330,NULL,-1,NULL,'odcs-2-1-20231114.t.0',NULL,'','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789);
INSERT INTO composes VALUES(3,5,'alice',1000,1000,4,'Error while generating compose: Unknown Koji tag f26.',3,'/srv/repo','production','RC-1.0',1700000030,1700086510,1700000105,0,0,NULL,-1,NULL,'odcs-3-1-20231114.0',NULL,'','x86_64 s390x',0,NULL,0,0);
INSERT INTO composes VALUES(4,6,'bob',1001,1000,2,'Compose is generated successfully',6,'','test',NULL,1700000040,1700086520,1700000115,1700000120,0,NULL,-1,NULL,'odcs-4-1-20231114.t.0',NULL,'','x86_64',0,'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',151,123456789);
INSERT INTO composes VALUES(5,7,'alice',1000,1000,1,'Compose thread started',1,'f26','test',NULL,1700000050,1700086450,1700000125,0,0,NULL,-1,NULL,'odcs-5-1-20231114.t.0',NULL,'AA','x86_64',0,NULL,0,0);
INSERT INTO composes VALUES(6,8,'bob',1001,1000,0,NULL,2,'testmodule:master perl:5.24','test',NULL,1700000060,1700003660,0,0,0,NULL,-1,NULL,NULL,'odcs-1-1-20231114.t.0','','x86_64',0,NULL,0,0);
INSERT INTO composes VALUES(7,9,'alice',1000,1000,0,NULL,3,'/srv/repo','production','RC-1.0',1700000070,1700086470,0,0,0,NULL,-1,NULL,NULL,NULL,'','x86_64 s390x',0,NULL,0,0);
INSERT INTO composes VALUES(8,10,'bob',1001,1000,4,'Canceled by alice',6,'','test',NULL,1700000080,1700086530,0,0,0,NULL,-1,NULL,NULL,NULL,'','x86_64',0,NULL,0,0);
CREATE TABLE specs (
	compose INTEGER PRIMARY KEY,   -- composes.id
	spec    TEXT NOT NULL,         -- normal form, JSON text, bytes of UTF-8
	written BLOB NOT NULL          -- as the user wrote it, bytes
);
INSERT INTO specs VALUES(1,'{"arches":["x86_64"],"compose_type":"test","flags":1,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["httpd","nginx"],"results":1,"seconds_to_live":86400,"sigkeys":["AA"],"source":["f26"],"source_type":1,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a22746167222c22736f75726365223a22663236222c227061636b61676573223a5b226874747064222c226e67696e78225d2c227369676b657973223a5b224141225d7d2c22666c616773223a5b226e6f5f64657073225d7d');
INSERT INTO specs VALUES(2,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":3600,"sigkeys":[],"source":["testmodule:master","perl:5.24"],"source_type":2,"target_dir":"default"}',X'7b2022736f75726365223a207b202274797065223a20226d6f64756c65222c2022736f75726365223a2022746573746d6f64756c653a6d6173746572207065726c3a352e323422207d2c20227365636f6e64735f746f5f6c697665223a2033363030207d0a');
INSERT INTO specs VALUES(3,'{"arches":["x86_64","s390x"],"compose_type":"production","flags":0,"label":"RC-1.0","lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["göpher"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/srv/repo"],"source_type":3,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a227265706f222c22736f75726365223a222f7372762f7265706f222c227061636b61676573223a5b2267c3b670686572225d7d2c22617263686573223a5b227838365f3634222c227333393078225d2c226c6162656c223a2252432d312e30222c22636f6d706f73655f74797065223a2270726f64756374696f6e227d');
INSERT INTO specs VALUES(4,'{"arches":["x86_64"],"builds":["foo-1-1"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":86400,"sigkeys":[],"source":[],"source_type":6,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a226275696c64222c22736f75726365223a22222c226275696c6473223a5b22666f6f2d312d31225d7d7d');
INSERT INTO specs VALUES(5,'{"arches":["x86_64"],"compose_type":"test","flags":1,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["httpd","nginx"],"results":1,"seconds_to_live":86400,"sigkeys":["AA"],"source":["f26"],"source_type":1,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a22746167222c22736f75726365223a22663236222c227061636b61676573223a5b226874747064222c226e67696e78225d2c227369676b657973223a5b224141225d7d2c22666c616773223a5b226e6f5f64657073225d7d');
INSERT INTO specs VALUES(6,'{"arches":["x86_64"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":3600,"sigkeys":[],"source":["testmodule:master","perl:5.24"],"source_type":2,"target_dir":"default"}',X'7b2022736f75726365223a207b202274797065223a20226d6f64756c65222c2022736f75726365223a2022746573746d6f64756c653a6d6173746572207065726c3a352e323422207d2c20227365636f6e64735f746f5f6c697665223a2033363030207d0a');
INSERT INTO specs VALUES(7,'{"arches":["x86_64","s390x"],"compose_type":"production","flags":0,"label":"RC-1.0","lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"packages":["göpher"],"results":1,"seconds_to_live":86400,"sigkeys":[],"source":["/srv/repo"],"source_type":3,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a227265706f222c22736f75726365223a222f7372762f7265706f222c227061636b61676573223a5b2267c3b670686572225d7d2c22617263686573223a5b227838365f3634222c227333393078225d2c226c6162656c223a2252432d312e30222c22636f6d706f73655f74797065223a2270726f64756374696f6e227d');
INSERT INTO specs VALUES(8,'{"arches":["x86_64"],"builds":["foo-1-1"],"compose_type":"test","flags":0,"lookaside_repos":[],"multilib_arches":[],"multilib_method":0,"results":1,"seconds_to_live":86400,"sigkeys":[],"source":[],"source_type":6,"target_dir":"default"}',X'7b22736f75726365223a7b2274797065223a226275696c64222c22736f75726365223a22222c226275696c6473223a5b22666f6f2d312d31225d7d7d');
CREATE TABLE turns (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- counts claims from 1
	owner  TEXT NOT NULL UNIQUE               -- user name
);
INSERT INTO turns VALUES(4,'bob');
INSERT INTO turns VALUES(5,'alice');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('requests',10);
INSERT INTO sqlite_sequence VALUES('composes',8);
INSERT INTO sqlite_sequence VALUES('turns',5);
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
COMMIT;
