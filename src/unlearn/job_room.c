/* job_room.c - the memory that a step will take: as ob_job_open() does, before anything is taken. */
#include "run/memory.h"
#include "unlearn/job.h"

/* For methods that train by themselves, without the job's loaders and optimiser. */
static int own_batch(const struct ob_job *job, const void *state)
{
    int batch = job->method->batch(state, job->model);
    size_t forget = job->method->needs & OB_NEED_FORGET ? job->forget->n : 0;
    size_t most = job->retain->n + forget;

    return (size_t)batch < most ? batch : (int)most;
}

static int add_job(struct ob_memory *need, const struct ob_job *job, const struct ob_net *net,
                   int batch, size_t models, struct ob_err *err)
{
    unsigned needs = job->method->needs, both = OB_NEED_RETAIN | OB_NEED_FORGET;
    bool teacher = needs & OB_NEED_TEACHER, mask = needs & OB_NEED_MASK;
    size_t blocks = !job->method->common || job->common.optimizer ? 3 : 2; /* gradients, moments */

    OB_TRY(ob_memory_add_exec(need, job->ctx, net, batch, obi_job_exec_flags(job), err));
    if (teacher)
        OB_TRY(ob_memory_add_exec(need, job->ctx, net, batch, 0, err));
    /* while a mask is made the gradient that it is made from stands beside it */
    ob_memory_add_weights(need, net, blocks + mask,
                          models + teacher + ((needs & OB_EXTRA_CLASS) != 0));
    need->weights += mask ? net->n_params : 0;
    ob_memory_add_batch(need, net, batch, teacher ? 3 : 1);
    for (int i = 0; i < 2; i++) { /* loaders; images and their gradients */
        if ((needs & both) == both)
            ob_memory_add_batch(need, net, batch, 0);
        if (needs & OB_NEED_IMAGES)
            ob_memory_add_batch(need, net, batch, 0);
    }
    return OB_OK;
}

int ob_job_check_room(const struct ob_job *job, const void *state, size_t models,
                      struct ob_err *err)
{
    const struct ob_method *m = job->method;
    int batch = m->common ? ob_job_most_examples(job) : 0;
    const struct ob_net *net = job->model->net;
    struct ob_memory need = { 0 };
    struct ob_net *wide = NULL;
    int rc;

    if (!m->common && !m->batch)
        return OB_OK;
    if (m->needs & OB_EXTRA_CLASS)
        OB_TRY(obi_job_wide_net(&wide, net, err));
    if (!m->common)
        batch = own_batch(job, state);
    rc = add_job(&need, job, wide ? wide : net, batch, models, err);
    ob_net_free(wide);
    OB_TRY(rc);
    if (m->room)
        OB_TRY(m->room(state, job, &need, err));
    return ob_memory_check(&need, job->ctx, batch, m->name, err);
}
