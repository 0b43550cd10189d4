/* SPDX-License-Identifier: MIT */
/* cli/http.h: one exchange with a running service. */
#pragma once

#include "core/base/base.h"

/**
 * cli_call() - ask the service
 * @url: of the service; NULL: ODCSFS_URL, or http://localhost:5005
 * @method: "GET", "POST", "DELETE"; @body: JSON, or NULL
 * 0 with what it answered; -ENOENT, -EIO and so on with its own words */
int cli_call(const char *url, const char *method, const char *path, const char *body,
	     struct text *ret, struct error *err);
