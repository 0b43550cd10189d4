/* SPDX-License-Identifier: MIT */
/* resolver/modules/objects.h: libmodulemd's objects, freed at the end of their block.
 *
 * GLib's own g_autoptr() declarations of libmodulemd would do the same in other words. */
#pragma once

#include <modulemd.h>

static inline void objectp(void *pointer)
{
	GObject **object = pointer;

	g_clear_object(object);
}

static inline void gerrorp(GError **error)
{
	g_clear_error(error);
}

static inline void gfreep(void *pointer)
{
	char **text = pointer;

	g_free(*text);
}

static inline void arrayp(GPtrArray **array)
{
	if (*array)
		g_ptr_array_unref(*array);
}

#define _object_ __attribute__((cleanup(objectp)))
#define _gerror_ __attribute__((cleanup(gerrorp)))
#define _gfree_ __attribute__((cleanup(gfreep)))
#define _strv_ __attribute__((cleanup(g_strfreevp)))
#define _array_ __attribute__((cleanup(arrayp)))

static inline void g_strfreevp(char ***list)
{
	g_strfreev(*list);
}
