/* demo_ways.c - the one list of the ways that the demo compares. The order is that of the page. */
#include <stdio.h>
#include <string.h>

#include "demo.h"

static const struct demo_way ways[] = {
    { "floor", "Retrained again", "from scratch, another seed", CUT_NOT, { 0 }, { 0 } },
    { "nothing", "Do nothing", "the original, untouched", CUT_NOT, { 0 }, { 0 } },
    { "whole",
      "All at once",
      "random-label on the whole set",
      CUT_WHOLE,
      { "random-label" },
      { 1 } },
    { "random",
      "Random thirds",
      "random-label on each in turn",
      CUT_RANDOM,
      { "random-label", "random-label", "random-label" },
      { 1, 1, 1 } },
    { "rum",
      "RUM, one method",
      "random-label on low, medium, high in turn",
      CUT_SCORES,
      { "random-label", "random-label", "random-label" },
      { 1, 1, 1 } },
    { "full",
      "Full RUM",
      "none, finetune, salun",
      CUT_SCORES,
      { "none", "finetune", "salun" },
      { 0, 1, 1 } },
    { "easy-off",
      "RUM, high part only",
      "none, none, random-label",
      CUT_SCORES,
      { "none", "none", "random-label" },
      { 0, 0, 1 } },
    { "finetune",
      "Fine-tune",
      "on what is retained, all at once",
      CUT_WHOLE,
      { "finetune" },
      { 1 } },
};

const struct demo_way *demo_way_at(size_t i)
{
    return i < sizeof(ways) / sizeof(ways[0]) ? &ways[i] : NULL;
}

/* The same epochs for every way: a step gets its share, and what does not divide goes to the last. */
const char *demo_way_methods(struct demo *d, const struct demo_way *w)
{
    const char *text = "";
    int total = 0, left = d->unlearn_epochs;

    for (int k = 0; k < DEMO_PARTS; k++)
        total += w->share[k];
    for (int k = 0; k < DEMO_PARTS && w->methods[k]; k++) {
        int last = k + 1 == DEMO_PARTS || !w->methods[k + 1];
        int epochs = last ? left : d->unlearn_epochs * w->share[k] / total;

        if (!strcmp(w->methods[k], "none"))
            text = cmd_textf(d->c, "%s%snone", text, k ? "," : "");
        else
            text = cmd_textf(d->c, "%s%s%s:lr=%.9g:epochs=%d:batch=%d:schedule=linear", text,
                             k ? "," : "", w->methods[k], d->unlearn_lr, epochs, d->unlearn_batch);
        left -= strcmp(w->methods[k], "none") ? epochs : 0;
    }
    return text;
}
