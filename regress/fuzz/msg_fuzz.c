/* SPDX-License-Identifier: ISC */
/* msg_fuzz.c: every decoder of messages between processes. */
/* LINK: regress/fuzz/replay.c tunneld/msg.c tunneld/msg_session.c tunneld/chan.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c tunneld/reason.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include "chan.h"
#include "codecs.h"
#include "imsg_make.h"
#include "log.h"
#include "msg.h"

/* Every message has a decoder, and each is one of ours. */
static const enum codec	 decodes[MSG_MAX] = {
#define ROW(type, from, to) [MSG_##type] = DECODES_##type,
	MESSAGES(ROW)
#undef ROW
};

/*
 * What was decoded is encoded to the very same bytes: nothing was ignored,
 * and no two spellings mean the same.
 */
#define STRICT(name)							\
static void								\
fuzz_##name(struct imsg *m, const uint8_t *p, size_t n)			\
{									\
	struct msg_##name	*v = calloc(1, sizeof(*v));		\
	struct ibuf		*b = ibuf_dynamic(64, CHAN_MAXSIZE);	\
									\
	CHECK(v != NULL && b != NULL);					\
	if (msg_##name##_get(m, v) == 0) {				\
		CHECK(msg_##name##_put(b, v) == 0);			\
		CHECK(ibuf_size(b) == n &&				\
		    memcmp(ibuf_data(b), p, n) == 0);			\
	}								\
	ibuf_free(b);							\
	free(v);							\
}
CODECS(STRICT)
#undef STRICT

static void
fuzz_num(struct imsg *m, const uint8_t *p, size_t n)
{
	uint64_t	 v, i, sum = 0;

	if (msg_num_get(m, &v) == -1) {
		CHECK(n != sizeof(v));
		return;
	}
	CHECK(n == sizeof(v));
	for (i = 0; i < n; i++)
		sum = sum << 8 | p[i];
	CHECK(sum == v);
}

/* log_fuzz.c goes further with the record. */
static void
fuzz_log(const uint8_t *p, size_t n)
{
	struct logrec_view	 v;
	uint8_t			*copy = fuzz_copy(p, n);

	(void)logrec_decode(copy, n, &v);
	fuzz_free(copy, n);
}

static void
decode(enum codec codec, const uint8_t *p, size_t n)
{
	struct imsg	 m;

	imsg_make(&m, MSG_NONE, p, n, -1);
	switch (codec) {
	case CODEC_empty:
		CHECK((msg_empty_get(&m) == 0) == (n == 0));
		break;
	case CODEC_num:
		fuzz_num(&m, p, n);
		break;
	case CODEC_log:
		fuzz_log(p, n);
		break;
	case CODEC_conf:		/* a sequence, see xfer_fuzz.c */
		break;
#define CASE(name)							\
	case CODEC_##name:						\
		fuzz_##name(&m, p, n);					\
		break;
	CODECS(CASE)
#undef CASE
	case CODEC_MAX:
		CHECK(0);
	}
	imsg_free(&m);
}

/* The first byte chooses the codec; a letter, as a seed's may be. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t	 type;
	unsigned	 seen[CODEC_MAX] = { 0 };

	/* No codec is left that no message is decoded by. */
	for (type = MSG_NONE + 1; type < MSG_MAX; type++)
		seen[decodes[type]]++;
	for (type = 0; type < CODEC_MAX; type++)
		CHECK(seen[type] > 0);
	if (size < 1 || size > CHAN_MAXSIZE)
		return (0);
	decode((enum codec)((data[0] & 0x1f) % CODEC_MAX), data + 1, size - 1);
	return (0);
}
