/* SPDX-License-Identifier: MIT */
/* fs/inode.h: inode number ↔ what it names. Pure arithmetic, no table: that is why numbers are the
 * same after a restart and why a lookup costs no memory (DESIGN 6).
 *
 *   bits 60..62  kind     bits 0..59 by kind:
 *   0 fixed      part                                    1 = root, the names beside it, state words
 *   1 request    number << 24 | file                     file 0 is the directory
 *   2 compose    compose << 32 | index                   index as core/tree counts
 *   3 view       view << 52 | key                        links in composes/ and all of by-...
 *
 * 63 bits, so that programs with signed inode numbers are not surprised. */
#pragma once

#include "core/base/base.h"

enum inode_kind { INODE_FIXED, INODE_REQUEST, INODE_COMPOSE, INODE_VIEW };

/** struct inode - @id: request, compose or key of a view; @part: fixed name, file, index or view */
struct inode {
	enum inode_kind kind;
	int64_t id;
	uint32_t part;
};

enum fixed_name {
	FIXED_ROOT = 1,
	FIXED_README,
	FIXED_VERSION,
	FIXED_NEW,
	FIXED_EVENTS,
	FIXED_METRICS,
	FIXED_REQUESTS,
	FIXED_COMPOSES,
	FIXED_BY_STATE,
	FIXED_BY_OWNER,
	FIXED_BY_SOURCE,
};

enum request_file {
	REQUEST_DIRECTORY,
	REQUEST_SPEC,
	REQUEST_STATUS,
	REQUEST_ID,
	REQUEST_COMPOSE_JSON,
	REQUEST_ERROR,
	REQUEST_LOG,
	REQUEST_PROGRESS,
	REQUEST_WAIT,
	REQUEST_TTL,
	REQUEST_CTL,
	REQUEST_RESULT,
	REQUEST_FILES,		      /* how many there are */
	REQUEST_TEMPORARY_FIRST = 16, /* editors' temporary files, never reused within a draft */
};

/* Views: what stands behind a link is part of its number, so a link never changes its target. */
enum view {
	VIEW_REUSED = 1, /* composes/NEW → OLD; key: compose */
	VIEW_ODCS,	 /* composes/odcs-ID */
	VIEW_OWNED,	 /* composes/latest-OWNER-ID; where latest-OWNER-NAME leads */
	VIEW_SEED,	 /* composes/latest-odcs-ID-1 */
	VIEW_TYPE,	 /* composes/TYPE/; key: number of the word */
	VIEW_LATEST,	 /* composes/TYPE/latest-NAME-VERSION; key: compose */
	VIEW_STATE,	 /* by-state/WORD/; key: state */
	VIEW_STATE_LINK, /* by-state/WORD/ID; key: state << 48 | compose */
	VIEW_OWNER,	 /* by-owner/USER/; key: digest of the name */
	VIEW_OWNER_LINK, /* key: compose */
	VIEW_SOURCE,	 /* by-source/SOURCE/; key: digest of the name */
	VIEW_SOURCE_LINK,
	VIEW_END,
};

#define INODE_REQUEST_MAX (INT64_C(1) << 36)
#define INODE_REQUEST_FILE_MAX (UINT32_C(1) << 24)
#define INODE_COMPOSE_MAX (INT64_C(1) << 28)
#define INODE_VIEW_KEY_MAX (INT64_C(1) << 52)
#define INODE_STATE_SHIFT 48 /* within the key of VIEW_STATE_LINK */

/** inode_pack() - 0 when a part is out of its range: then the thing cannot be shown */
static inline uint64_t inode_pack(enum inode_kind kind, int64_t id, uint32_t part)
{
	uint64_t top = (uint64_t)kind << 60;

	if (id < 0)
		return 0;
	switch (kind) {
	case INODE_FIXED:
		return id || !part || part > 255 ? 0 : part;
	case INODE_REQUEST:
		if (id >= INODE_REQUEST_MAX || part >= INODE_REQUEST_FILE_MAX)
			return 0;
		return top | (uint64_t)id << 24 | part;
	case INODE_COMPOSE:
		return id >= INODE_COMPOSE_MAX ? 0 : top | (uint64_t)id << 32 | part;
	case INODE_VIEW:
		if (id >= INODE_VIEW_KEY_MAX || !part || part >= VIEW_END)
			return 0;
		return top | (uint64_t)part << 52 | (uint64_t)id;
	}
	return 0;
}

/** inode_parse() - false when no inode of ours has that number */
static inline bool inode_parse(uint64_t ino, struct inode *ret)
{
	struct inode node = { .kind = (enum inode_kind)(ino >> 60 & 7) };
	uint64_t rest = ino & ((UINT64_C(1) << 60) - 1);

	switch (node.kind) {
	case INODE_FIXED:
		node.part = (uint32_t)rest;
		break;
	case INODE_REQUEST:
		node.id = (int64_t)(rest >> 24);
		node.part = rest & (INODE_REQUEST_FILE_MAX - 1);
		break;
	case INODE_COMPOSE:
		node.id = (int64_t)(rest >> 32);
		node.part = (uint32_t)rest;
		break;
	case INODE_VIEW:
		node.id = (int64_t)(rest & (uint64_t)(INODE_VIEW_KEY_MAX - 1));
		node.part = (uint32_t)(rest >> 52);
		break;
	default:
		return false;
	}
	if (inode_pack(node.kind, node.id, node.part) != ino || !ino)
		return false;
	*ret = node;
	return true;
}

#define FIXED_INO(part) ((uint64_t)(part))
#define REQUEST_INO(number, file) inode_pack(INODE_REQUEST, (number), (file))
#define COMPOSE_INO(id, index) inode_pack(INODE_COMPOSE, (id), (index))
#define VIEW_INO(view, key) inode_pack(INODE_VIEW, (key), (view))
