/* clock.h - the clocks, in the units that names carry. Timers use the monotonic one (immune to steps). */
#ifndef RESTANTE_BASE_CLOCK_H
#define RESTANTE_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
int64_t clock_real_ns(void);

#endif
