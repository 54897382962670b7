/* SPDX-License-Identifier: MIT
 *
 * fuzz_estate.c - any bytes as a packet of what a process leaves to the next.
 *
 * What is parsed and written again must be the same bytes.
 */
#include "base/strbuf.h"
#include "daemon/estate.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
row_check(const struct config_backend *row, const struct amendment *a)
{
	must(row->name == a->name && *row->address && row->weight <= 1000);
	must(row->state <= BACKEND_DOWN);
}

static void
write_again(const struct estate_packet *packet, struct strbuf *out)
{
	const struct amendment *a = &packet->amendment;

	switch (packet->kind) {
	case ESTATE_HEAD: estate_write_head(&packet->head, out); break;
	case ESTATE_AMENDMENTS: estate_write_count(packet->n_amendments, out); break;
	case ESTATE_AMENDMENT:
		must(*a->upstream && *a->name && (a->in_file || a->is_there));
		if (a->in_file)
			row_check(&a->file, a);
		if (a->is_there)
			row_check(&a->row, a);
		estate_write_amendment(a, out);
		break;
	case ESTATE_BACKEND: estate_write_backend(&packet->backend, out); break;
	case ESTATE_PINS:
		must(packet->pins.n > 0);
		for (size_t i = 0; i < packet->pins.n; i++) {
			struct estate_pin pin = estate_pin_at(packet, i);

			must(pin.backend <= ESTATE_NUMBER_MAX);
			must(estate_has_room(out));
			estate_add_pin(&pin, out);
		}
		break;
	case ESTATE_END: estate_write_end(out); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf out = STRBUF_INIT;
	struct estate_packet packet;

	if (estate_parse(data, size, &packet)) {
		must(size <= ESTATE_PACKET);
		write_again(&packet, &out);
		if (!out.failed)
			must(out.len == size && memcmp(out.data, data, size) == 0);
	}
	strbuf_fini(&out);
	return 0;
}
