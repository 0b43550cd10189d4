-- SPDX-License-Identifier: MIT
-- core/catalogue/schema.sql: the tables of the catalogue, one section per version of the schema.
--
-- A new catalogue runs all sections, an older one those above its version (PRAGMA user_version), so
-- both end with the same tables. A section that was released is never changed: a change is a new
-- section. The build turns this file into C strings (schema.sed).
--
-- Times are seconds since 1970-01-01 UTC, 0 = never. Values that a list can be ordered by are never
-- NULL, so that a listing goes on behind the last (value, id) it has seen.

-- version 1
PRAGMA application_id = 1868849011; -- "odcs": tells a catalogue from another program's database

-- One row per directory under requests/. A dropped directory's row is deleted, its number is not
-- used again.
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
CREATE INDEX requests_drafts_of ON requests (uid) WHERE compose_id = 0;
CREATE INDEX requests_drafts_old ON requests (time_created) WHERE compose_id = 0;
CREATE INDEX requests_history ON requests (time_removed) WHERE time_removed > 0;

-- One row per accepted compose, for ever.
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

-- What was asked, apart from composes because it can be long: listings do not touch it.
CREATE TABLE specs (
	compose INTEGER PRIMARY KEY,   -- composes.id
	spec    TEXT NOT NULL,         -- normal form, JSON text, bytes of UTF-8
	written BLOB NOT NULL          -- as the user wrote it, bytes
);

-- Whose turn it is: the owner with the lowest number was served longest ago.
CREATE TABLE turns (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- counts claims from 1
	owner  TEXT NOT NULL UNIQUE               -- user name
);

-- Orders and filters of a listing. SQLite ends each index with the id, which breaks ties.
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

-- The service's own questions; removed composes, which only grow in number, are in none of them.
CREATE INDEX composes_active ON composes (state, owner) WHERE state < 3;
CREATE INDEX composes_expiry ON composes (time_to_expire) WHERE state IN (2, 4);
CREATE INDEX composes_present ON composes (id) WHERE state <> 3;
CREATE INDEX composes_manifest ON composes (manifest) WHERE state <> 3 AND manifest IS NOT NULL;
CREATE INDEX composes_reused ON composes (reused_id) WHERE reused_id > 0;

CREATE TRIGGER composes_stay BEFORE DELETE ON composes
BEGIN
	SELECT RAISE(ABORT, 'rows of composes are never deleted');
END;

-- version 2
-- How many composes there are of each kind, kept by triggers: counting rows that stay for ever would
-- take longer every month.
CREATE TABLE tallies (
	source_type INTEGER NOT NULL, -- ODCS number, as in composes
	state       INTEGER NOT NULL, -- ODCS number, as in composes
	count       INTEGER NOT NULL, -- rows of composes
	PRIMARY KEY (source_type, state)
) WITHOUT ROWID;
INSERT INTO tallies SELECT source_type, state, count(*) FROM composes GROUP BY source_type, state;

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

-- version 3
-- What a request meant when it was resolved: composes of the same question and the same inputs show one
-- tree. Rows of earlier versions have neither, and are not looked for.
ALTER TABLE composes ADD COLUMN question TEXT; -- spec_question(), 64 hex digits; NULL: never reused
ALTER TABLE composes ADD COLUMN inputs TEXT;   -- of struct resolution, 64 hex digits; NULL: not resolved
CREATE INDEX composes_question ON composes (question, inputs, state)
	WHERE question IS NOT NULL AND reused_id = 0 AND state IN (1, 2);

-- version 4
-- What keeps a compose while it is read, and which composes one name leads to, one after another.
ALTER TABLE composes ADD COLUMN lease INTEGER NOT NULL DEFAULT -1;     -- s that a read keeps it; 0: none, -1: the site's
ALTER TABLE composes ADD COLUMN latest TEXT;                           -- name of successive composes of its owner, or NULL
ALTER TABLE composes ADD COLUMN timestamp INTEGER NOT NULL DEFAULT -1; -- s since 1970, of its repodata; -1: not done, or of an earlier version
CREATE INDEX composes_latest ON composes (owner, latest, timestamp)
	WHERE latest IS NOT NULL AND timestamp >= 0;

-- version 5
-- Turns are taken by owner and uid: without accounts everybody has the same name.
DROP INDEX composes_active;
CREATE INDEX composes_active ON composes (state, owner, uid) WHERE state < 3;
ALTER TABLE turns RENAME TO turns_of_owners;
CREATE TABLE turns (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- counts claims from 1
	owner  TEXT    NOT NULL,                  -- user name
	uid    INTEGER NOT NULL,                  -- numeric user id
	UNIQUE (owner, uid)
);
INSERT INTO turns SELECT number, owner, coalesce((SELECT max(uid) FROM composes
	WHERE composes.owner = turns_of_owners.owner), 0) FROM turns_of_owners;
DROP TABLE turns_of_owners;

-- version 6
-- Turns are taken by party: the uid and owner, and where these say nobody in particular the client, too. It is
-- kept as long as the compose waits or is made.
DROP INDEX composes_active;
CREATE INDEX composes_active ON composes (state, owner) WHERE state < 3;
ALTER TABLE composes ADD COLUMN party TEXT NOT NULL DEFAULT ''; -- "UID OWNER" or "UID@CLIENT OWNER"; '' when it is over
UPDATE composes SET party = uid || ' ' || owner WHERE state < 2;
CREATE INDEX composes_party ON composes (state, party) WHERE state < 2;
CREATE TRIGGER composes_party_over AFTER UPDATE OF state ON composes WHEN new.state > 1 AND new.party <> ''
BEGIN
	UPDATE composes SET party = '' WHERE id = new.id;
END;
ALTER TABLE turns RENAME TO turns_of_users;
CREATE TABLE turns (
	number INTEGER PRIMARY KEY AUTOINCREMENT, -- counts claims from 1
	party  TEXT    NOT NULL UNIQUE            -- as in composes; the last 1000
);
INSERT INTO turns SELECT number, uid || ' ' || owner FROM turns_of_users;
DROP TABLE turns_of_users;
