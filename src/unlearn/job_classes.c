/*
 * job_classes.c - whole classes that are forgotten, and a class more while a method runs.
 *
 * The last node of a network is linear, so a class more is one row more at the end of its weight and
 * of its bias; every other view is the same.
 */
#include <string.h>

#include "unlearn/job.h"

bool ob_job_forgets_class(const struct ob_job *job, int32_t class)
{
    for (size_t i = 0; i < job->forget->n; i++)
        if (ob_data_label(job->data, OB_TRAIN, job->forget->id[i]) == class)
            return true;
    return false;
}

const uint32_t *ob_job_kept_of_class(const struct ob_job *job)
{
    int c = job->data->info.n_classes;

    for (int32_t k = 0; k < c; k++) {
        if (!ob_job_forgets_class(job, k))
            continue;
        for (size_t i = 0; i < job->retain->n; i++)
            if (ob_data_label(job->data, OB_TRAIN, job->retain->id[i]) == k)
                return &job->retain->id[i];
    }
    return NULL;
}

bool ob_job_whole_classes(const struct ob_job *job)
{
    return !ob_job_kept_of_class(job);
}

int obi_job_wide_net(struct ob_net **out, const struct ob_net *narrow, struct ob_err *err)
{
    const struct ob_node *last = &narrow->node[narrow->n_nodes - 1];

    *out = NULL;
    if (last->op != OB_OP_LINEAR)
        return ob_fail(err, OB_EINVAL, "'%s' does not end in a linear layer", narrow->arch);
    return ob_net_new(out, narrow->arch, narrow->channels, narrow->height, narrow->width,
                      narrow->n_classes + 1, err);
}

/* Copies what the two have in common: of each view the first elements, as many as the shorter has. */
static void copy_common(struct ob_model *to, const struct ob_model *from)
{
    for (int i = 0; i < to->net->n_views; i++) {
        const struct ob_view *a = &to->net->view[i], *b = &from->net->view[i];
        size_t n = a->size < b->size ? a->size : b->size;

        if (a->block == OB_PARAM)
            memcpy(to->w.params + a->offset, from->w.params + b->offset, n * sizeof(float));
        else if (a->block == OB_BUFFER)
            memcpy(to->w.buffers + a->offset, from->w.buffers + b->offset, n * sizeof(float));
        else
            memcpy(to->w.counts + a->offset, from->w.counts + b->offset, n * sizeof(int64_t));
    }
    ob_model_touch(to);
}

int obi_job_widen(struct ob_job *job, struct ob_err *err)
{
    const struct ob_net *net = job->model->net;
    struct ob_model *wide;

    OB_TRY(ob_model_new(&wide, job->ctx, net->arch, net->channels, net->height, net->width,
                        net->n_classes + 1, job->seed, err));
    copy_common(wide, job->model);
    job->narrow = job->model;
    job->model = wide;
    return OB_OK;
}

void obi_job_narrow(struct ob_job *job)
{
    if (!job->narrow)
        return;
    copy_common(job->narrow, job->model);
    ob_model_free(job->model);
    job->model = job->narrow;
    job->narrow = NULL;
}

void ob_job_extra_row(struct ob_job *job, struct ob_extra_row *out)
{
    const struct ob_net *net = job->model->net;
    const struct ob_node *last = &net->node[net->n_nodes - 1];
    const struct ob_view *weight = &net->view[last->weight];
    size_t n = weight->size / (size_t)net->n_classes;

    out->weight = job->model->w.params + weight->offset + weight->size - n;
    out->n = n;
    out->bias = last->bias < 0 ? NULL
                               : job->model->w.params + net->view[last->bias].offset +
                                     net->view[last->bias].size - 1;
    ob_model_touch(job->model);
}
