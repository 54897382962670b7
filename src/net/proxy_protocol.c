/* SPDX-License-Identifier: MIT
 *
 * proxy_protocol.c - reads and writes PROXY headers; see proxy_protocol.h.
 *
 * Who may send such a header can claim any address, so nothing is guessed: what is not
 * exactly a header is refused, and what a header says in words we do not know
 * (datagrams, unix sockets, unspecified) gives no address instead of a wrong one.
 */
#include "net/proxy_protocol.h"

#include <stdio.h>

enum {
	LINE_MAX = 107, /* of version 1, with its CRLF */
	FIXED = 16,     /* version 2: signature, version and command, family, length */

	COMMAND_LOCAL = 0x20,
	COMMAND_PROXY = 0x21,
	FAMILY_UNSPEC = 0,
	FAMILY_INET = 1,
	FAMILY_INET6 = 2,
	FAMILY_UNIX = 3,
	TRANSPORT_UNSPEC = 0,
	TRANSPORT_STREAM = 1,
	TRANSPORT_DGRAM = 2,

	TLV_HEAD = 3, /* type, length */
	TLV_CRC32C = 3,
	CRC_BYTES = 4,
};

static const char word[] = "PROXY "; /* how version 1 begins */
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum { WORD = sizeof word - 1, SIGNATURE = sizeof signature - 1 };

/* ---- version 1 ---- */

/* Cuts the text in front of the next space, or all of it. */
static struct str
cut_word(struct str *text)
{
	const char *space = text->n ? memchr(text->p, ' ', text->n) : NULL;
	struct str first = {text->p, space ? (size_t)(space - text->p) : text->n};
	size_t used = first.n + (space != NULL);

	*text = (struct str){text->p + used, text->n - used};
	return first;
}

static bool
read_ip(struct str text, sa_family_t family, struct addr *addr_r)
{
	return text.n && text.p[0] != '[' && addr_parse_ip(text, addr_r) &&
	       addr_r->sa.sa_family == family;
}

/* "IP IP PORT PORT" */
static bool
read_addresses(struct str text, sa_family_t family, struct proxy_header *h)
{
	uint16_t port;

	/* a space behind the last word would be taken for its end */
	if (!text.n || text.p[text.n - 1] == ' ')
		return false;
	if (!read_ip(cut_word(&text), family, &h->source) ||
	    !read_ip(cut_word(&text), family, &h->destination) ||
	    !addr_parse_port(cut_word(&text), &port))
		return false;
	addr_set_port(&h->source, port);
	if (!addr_parse_port(cut_word(&text), &port))
		return false;
	addr_set_port(&h->destination, port);
	return text.n == 0;
}

/* What stands between "PROXY " and CRLF. */
static bool
read_line(struct str text, struct proxy_header *h)
{
	struct str family = cut_word(&text);

	if (memchr(family.p, '\r', family.n) ||
	    (text.n && memchr(text.p, '\r', text.n)))
		return false;
	if (str_eq(family, STR("TCP4")))
		return read_addresses(text, AF_INET, h);
	if (str_eq(family, STR("TCP6")))
		return read_addresses(text, AF_INET6, h);
	h->local = str_eq(family, STR("UNKNOWN")); /* whatever follows */
	return h->local;
}

static enum proxy_verdict
parse_v1(const char *p, size_t n, struct proxy_header *h, size_t *used_r)
{
	const char *end;

	if (memcmp(p, word, n < WORD ? n : WORD))
		return PROXY_NONE;
	end = memchr(p, '\n', n < LINE_MAX ? n : LINE_MAX);
	if (!end)
		return n < LINE_MAX ? PROXY_MORE : PROXY_BAD;
	if (end - p <= WORD || end[-1] != '\r' ||
	    !read_line((struct str){p + WORD, (size_t)(end - p) - WORD - 1}, h))
		return PROXY_BAD;
	*used_r = (size_t)(end - p) + 1;
	return PROXY_DONE;
}

/* ---- version 2 ---- */

static unsigned
u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t
u32(const uint8_t *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

/* One bit at a time: there is at most one header per connection, and few have this. */
static uint32_t
crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
	}
	return crc;
}

/* The checksum of a header is taken with zeroes in its own place, at `at`. */
static bool
is_checksum_right(const uint8_t *p, size_t n, size_t at)
{
	static const uint8_t zeroes[CRC_BYTES];
	uint32_t crc = crc32c(UINT32_MAX, p, at);

	crc = crc32c(crc, zeroes, CRC_BYTES);
	crc = crc32c(crc, p + at + CRC_BYTES, n - at - CRC_BYTES);
	return ~crc == u32(p + at);
}

/* Walks over what follows the addresses, from `at` to the end of the header, n. */
static bool
check_tlvs(const uint8_t *p, size_t n, size_t at)
{
	while (at < n) {
		size_t length;

		if (n - at < TLV_HEAD)
			return false;
		length = u16(p + at + 1);
		if (n - at - TLV_HEAD < length)
			return false;
		if (p[at] == TLV_CRC32C &&
		    (length != CRC_BYTES || !is_checksum_right(p, n, at + TLV_HEAD)))
			return false;
		at += TLV_HEAD + length;
	}
	return true;
}

static void
take_addresses(const uint8_t *p, unsigned family, struct proxy_header *h)
{
	if (family == FAMILY_INET) {
		h->source.sa.sa_family = h->destination.sa.sa_family = AF_INET;
		memcpy(&h->source.in4.sin_addr, p, 4);
		memcpy(&h->destination.in4.sin_addr, p + 4, 4);
		p += 2 * 4;
	} else {
		h->source.sa.sa_family = h->destination.sa.sa_family = AF_INET6;
		memcpy(&h->source.in6.sin6_addr, p, 16);
		memcpy(&h->destination.in6.sin6_addr, p + 16, 16);
		p += 2 * 16;
	}
	addr_set_port(&h->source, (uint16_t)u16(p));
	addr_set_port(&h->destination, (uint16_t)u16(p + 2));
}

/* A whole header of n bytes with the command PROXY. */
static bool
read_relayed(const uint8_t *p, size_t n, struct proxy_header *h)
{
	static const uint8_t lengths[] = {0, 2 * 4 + 2 * 2, 2 * 16 + 2 * 2, 2 * 108};
	unsigned family = p[13] >> 4, transport = p[13] & 0xf;

	if (family == FAMILY_UNSPEC || transport == TRANSPORT_UNSPEC)
		return true; /* how long its addresses are is not said either */
	if (n - FIXED < lengths[family] || !check_tlvs(p, n, FIXED + lengths[family]))
		return false;
	if (transport == TRANSPORT_STREAM && family != FAMILY_UNIX)
		take_addresses(p + FIXED, family, h);
	return true;
}

/* Can n bytes still become a header? Each byte is judged as soon as it is here. */
static bool
is_start_good(const uint8_t *p, size_t n)
{
	if (n > 12 && p[12] != COMMAND_LOCAL && p[12] != COMMAND_PROXY)
		return false;
	if (n > 13 && p[12] == COMMAND_PROXY &&
	    (p[13] >> 4 > FAMILY_UNIX || (p[13] & 0xf) > TRANSPORT_DGRAM))
		return false;
	return n < FIXED || u16(p + 14) <= PROXY_HEADER_MAX - FIXED;
}

static enum proxy_verdict
parse_v2(const uint8_t *p, size_t n, struct proxy_header *h, size_t *used_r)
{
	size_t whole;

	if (memcmp(p, signature, n < SIGNATURE ? n : SIGNATURE))
		return PROXY_NONE;
	if (!is_start_good(p, n))
		return PROXY_BAD;
	if (n < FIXED)
		return PROXY_MORE;
	whole = FIXED + u16(p + 14);
	if (n < whole)
		return PROXY_MORE;
	h->local = p[12] == COMMAND_LOCAL;
	if (!h->local && !read_relayed(p, whole, h))
		return PROXY_BAD;
	*used_r = whole;
	return PROXY_DONE;
}

enum proxy_verdict
proxy_header_parse(const void *p, size_t n, struct proxy_header *header_r,
    size_t *used_r)
{
	struct proxy_header h = {0};
	enum proxy_verdict verdict;

	if (n == 0)
		return PROXY_MORE;
	verdict = *(const char *)p == word[0] ? parse_v1(p, n, &h, used_r)
					      : parse_v2(p, n, &h, used_r);
	if (verdict == PROXY_DONE)
		*header_r = h;
	return verdict;
}

/* ---- writing ---- */

/* The family both have, or 0. */
static sa_family_t
common_family(const struct addr *a, const struct addr *b)
{
	sa_family_t family = a->sa.sa_family;

	return family == b->sa.sa_family && addr_len(a) ? family : 0;
}

static size_t
write_v1(char out[PROXY_HEADER_OUT], const struct addr *source,
    const struct addr *destination)
{
	sa_family_t family = common_family(source, destination);
	char from[ADDR_TEXT], to[ADDR_TEXT];

	if (!family)
		return (size_t)snprintf(out, PROXY_HEADER_OUT, "PROXY UNKNOWN\r\n");
	return (size_t)snprintf(out, PROXY_HEADER_OUT, "PROXY TCP%c %s %s %u %u\r\n",
	    family == AF_INET ? '4' : '6', addr_print(source, false, from),
	    addr_print(destination, false, to), addr_port(source),
	    addr_port(destination));
}

static char *
put_bytes(char *out, const void *p, size_t n)
{
	memcpy(out, p, n);
	return out + n;
}

static char *
put_u16(char *out, unsigned value)
{
	*out++ = (char)(value >> 8);
	*out++ = (char)value;
	return out;
}

static size_t
write_v2(char out[PROXY_HEADER_OUT], const struct addr *source,
    const struct addr *destination)
{
	sa_family_t family = common_family(source, destination);
	char *p = put_bytes(out, signature, SIGNATURE);

	*p++ = family ? COMMAND_PROXY : COMMAND_LOCAL;
	if (family == AF_INET) {
		*p++ = FAMILY_INET << 4 | TRANSPORT_STREAM;
		p = put_u16(p, 2 * 4 + 2 * 2);
		p = put_bytes(p, &source->in4.sin_addr, 4);
		p = put_bytes(p, &destination->in4.sin_addr, 4);
	} else if (family) {
		*p++ = FAMILY_INET6 << 4 | TRANSPORT_STREAM;
		p = put_u16(p, 2 * 16 + 2 * 2);
		p = put_bytes(p, &source->in6.sin6_addr, 16);
		p = put_bytes(p, &destination->in6.sin6_addr, 16);
	} else {
		*p++ = FAMILY_UNSPEC << 4 | TRANSPORT_UNSPEC;
		return (size_t)(put_u16(p, 0) - out);
	}
	p = put_u16(p, addr_port(source));
	return (size_t)(put_u16(p, addr_port(destination)) - out);
}

size_t
proxy_header_write(char out[PROXY_HEADER_OUT], unsigned version,
    const struct addr *source, const struct addr *destination)
{
	return version == 1 ? write_v1(out, source, destination)
			    : write_v2(out, source, destination);
}
