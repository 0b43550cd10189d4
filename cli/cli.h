/* SPDX-License-Identifier: MIT */
/* cli/cli.h: the door to the local commands, which ask a running service over HTTP. */
#pragma once

/** cli_why() - `odcsfs why [-u URL] ID PACKAGE`: exit code (0 said, 1 not there or no answer, 2
 * usage) */
int cli_why(int argc, char **argv);
/** cli_cache() - `odcsfs cache [-u URL] [--trim SIZE]`; cli_prefetch() - `odcsfs prefetch [-u URL] ID [PACKAGE...]`:
 * exit codes as above */
int cli_cache(int argc, char **argv);
int cli_prefetch(int argc, char **argv);
