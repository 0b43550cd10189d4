/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/made.c: small repositories made for one test. */
#include "tests/unit/sources/made.h"

#include <fcntl.h>
#include <unistd.h>

#define NS_COMMON "http://linux.duke.edu/metadata/common"
#define NS_RPM "http://linux.duke.edu/metadata/rpm"
#define NS_FILES "http://linux.duke.edu/metadata/filelists"
#define NS_OTHER "http://linux.duke.edu/metadata/other"

static void must(bool good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static void file_of(const struct made *package, struct text *ret)
{
	text_addf(ret, "%s%s%s-%s-1.%s.rpm", package->directory ? package->directory : "",
		  package->directory ? "/" : "", package->name, package->version, package->arch);
}

static void checksum_of(const struct made *package, char ret[static DIGEST_HEX_SIZE])
{
	_cleanup_(text_done) struct text text = { 0 };

	text_addf(&text, "%s-%s.%s", package->name, package->version, package->arch);
	if (package->checksum)
		text_adds(&text, package->checksum);
	sha256_hex(text.data, text.length, ret);
}

static void add_relation(struct text *xml, const char *tag, const char *words, char kind)
{
	_cleanup_(strings_done) struct strings list = { 0 };

	strings_split(&list, words ? words : "", ' ');
	text_addf(xml, "<rpm:%s>", tag);
	for (size_t i = 0; i < list.count; i++)
		if (list.item[i][0] == kind)
			text_addf(xml, "<rpm:entry name=\"%s\"/>", list.item[i] + 2);
	text_addf(xml, "</rpm:%s>", tag);
}

static void add_files(struct text *xml, const char *words, const char *kinds)
{
	_cleanup_(strings_done) struct strings list = { 0 };

	strings_split(&list, words ? words : "", ' ');
	for (size_t i = 0; i < list.count; i++)
		if (strchr(kinds, list.item[i][0]))
			text_addf(xml, "<file>%s</file>", list.item[i] + 2);
}

static void add_primary(struct text *xml, const struct made *package)
{
	_cleanup_(text_done) struct text file = { 0 };
	char checksum[DIGEST_HEX_SIZE];

	file_of(package, &file);
	checksum_of(package, checksum);
	text_addf(xml,
		  "<package type=\"rpm\"><name>%s</name><arch>%s</arch>"
		  "<version epoch=\"0\" ver=\"%s\" rel=\"1\"/>"
		  "<checksum type=\"sha256\" pkgid=\"YES\">%s</checksum>"
		  "<summary>s</summary><description>d</description>"
		  "<time file=\"1700000000\" build=\"1600000000\"/>"
		  "<size package=\"%u\" installed=\"1\" archive=\"1\"/>",
		  package->name, package->arch, package->version, checksum,
		  package->listed_size ? package->listed_size : package->size);
	text_adds(xml, "<location ");
	if (package->base)
		text_addf(xml, "xml:base=\"%s\" ", package->base);
	text_addf(xml, "href=\"%s\"/><format>", file.data);
	if (package->source)
		text_addf(xml, "<rpm:sourcerpm>%s-%s-1.src.rpm</rpm:sourcerpm>", package->source,
			  package->version);
	add_relation(xml, "provides", package->words, 'p');
	add_relation(xml, "requires", package->words, 'r');
	add_relation(xml, "conflicts", package->words, 'c');
	add_files(xml, package->words, "f");
	text_adds(xml, "</format></package>\n");
}

static void add_list(struct text *xml, const struct made *package, const char *kinds)
{
	char checksum[DIGEST_HEX_SIZE];

	checksum_of(package, checksum);
	text_addf(xml, "<package pkgid=\"%s\" name=\"%s\" arch=\"%s\">", checksum, package->name,
		  package->arch);
	text_addf(xml, "<version epoch=\"0\" ver=\"%s\" rel=\"1\"/>", package->version);
	add_files(xml, package->words, kinds);
	text_adds(xml, "</package>\n");
}

static void publish(int dirfd, const char *name, const char *bytes, size_t length)
{
	must(file_publish(dirfd, name, bytes, length) == 0, name);
}

static void add_record(int dirfd, struct text *repomd, const char *type, const struct text *bytes,
		       long long timestamp)
{
	_cleanup_(text_done) struct text name = { 0 };
	char digest[DIGEST_HEX_SIZE];

	sha256_hex(bytes->data, bytes->length, digest);
	text_addf(&name, "%s.xml", type);
	publish(dirfd, name.data, bytes->data, bytes->length);
	text_addf(repomd,
		  "<data type=\"%s\"><checksum type=\"sha256\">%s</checksum>"
		  "<location href=\"repodata/%s\"/><timestamp>%lld</timestamp>"
		  "<size>%zu</size></data>\n",
		  type, digest, name.data, timestamp, bytes->length);
}

static void make_file(int dirfd, const struct made *package)
{
	_cleanup_(text_done) struct text file = { 0 };
	_cleanup_(closep) int parent = -1;
	_cleanup_(freep) char *bytes = calloc(package->size + 1, 1);
	char *slash;

	file_of(package, &file);
	slash = strrchr(file.data, '/');
	if (slash)
		*slash = '\0';
	parent = directory_open(dirfd, slash ? file.data : ".");
	must(parent >= 0 && bytes, file.data);
	publish(parent, slash ? slash + 1 : file.data, bytes, package->size);
}

void made_repository(const char *path, const struct made *package, size_t count,
		     const char *revision, long long timestamp, const char *modules)
{
	_cleanup_(closep) int dirfd = directory_open(AT_FDCWD, path), repodata = -1;
	_cleanup_(text_done) struct text primary = { 0 }, filelists = { 0 }, other = { 0 },
					 repomd = { 0 };

	must(dirfd >= 0, path);
	repodata = directory_open(dirfd, "repodata");
	must(repodata >= 0, path);
	text_addf(&primary, "<metadata xmlns=\"%s\" xmlns:rpm=\"%s\" packages=\"%zu\">\n",
		  NS_COMMON, NS_RPM, count);
	text_addf(&filelists, "<filelists xmlns=\"%s\" packages=\"%zu\">\n", NS_FILES, count);
	text_addf(&other, "<otherdata xmlns=\"%s\" packages=\"%zu\">\n", NS_OTHER, count);
	for (size_t i = 0; i < count; i++) {
		add_primary(&primary, &package[i]);
		add_list(&filelists, &package[i], "fl");
		add_list(&other, &package[i], "");
		if (package[i].size)
			make_file(dirfd, &package[i]);
	}
	text_adds(&primary, "</metadata>\n");
	text_adds(&filelists, "</filelists>\n");
	text_adds(&other, "</otherdata>\n");
	text_addf(&repomd,
		  "<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>%s</revision>\n",
		  revision);
	add_record(repodata, &repomd, "primary", &primary, timestamp);
	add_record(repodata, &repomd, "filelists", &filelists, timestamp);
	add_record(repodata, &repomd, "other", &other, timestamp);
	if (modules) {
		_cleanup_(text_done) struct text text = { 0 };

		text_adds(&text, modules);
		add_record(repodata, &repomd, "modules", &text, timestamp);
	}
	text_adds(&repomd, "</repomd>\n");
	publish(repodata, "repomd.xml", repomd.data, repomd.length);
}
