/* nompi.c - a build without MPI: a job of several processes is refused, they would all do the same. */
#include "base/ranks.h"

int obi_mpi_join(struct ob_ranks **out, struct ob_err *err)
{
    *out = NULL;
    if (obi_was_launched())
        return ob_fail(err, OB_ENOTSUP,
                       "started by mpirun, but this build has no MPI; build it with 'make MPI=1'");
    return OB_OK;
}
