/* SPDX-License-Identifier: ISC */

/* conf_value.h: numbers, times and sizes as a configuration writes them. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stddef.h>
#include <stdint.h>

#define VALUE_TEXT	32		/* longest text value_*_format() makes */

/*
 * Parse all of text.  0, or -1: malformed (signs, blanks, fractions, leading
 * zeros, no unit or an unknown one) or too big for 63 bits.
 */
int	 value_number(const char *text, uint64_t *);
/* 500ms 10s 5m 2h 7d, in microseconds. */
int	 value_time(const char *text, uint64_t *);
/* Bytes: 4096 8K 10M 1G. */
int	 value_size(const char *text, uint64_t *);
/* An octal file mode, 0 to 0777. */
int	 value_mode(const char *text, unsigned *);

/* The shortest text that parses to the same; UINT64_MAX is "off". */
const char *value_number_format(uint64_t, char buf[VALUE_TEXT]);
const char *value_time_format(uint64_t, char buf[VALUE_TEXT]);
const char *value_size_format(uint64_t, char buf[VALUE_TEXT]);

#endif /* CONF_VALUE_H */
