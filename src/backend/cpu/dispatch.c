/* dispatch.c - picks the kernels of the best instruction set that the processor has. */
#include "backend/backend.h"

static int start(const char *want, char isa[16], struct ob_err *err)
{
    (void)want;
    isa[0] = '\0';
    return ob_fail(err, OB_ENOTSUP, "the backend 'cpu' is not built yet; use 'ref'");
}

const struct ob_backend ob_backend_cpu = { .name = "cpu", .start = start };
