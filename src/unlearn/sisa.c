/*
 * sisa.c - SISA: a model in shards and slices, of which a deletion retrains what it touches.
 *
 * It takes over from the driver: what it works on is a folder, not one model (run/sisa.h). Here
 * stand its words, and the refusal where there is no such folder.
 */
#include "unlearn/method.h"

static int check(const void *state, const struct ob_model *m, struct ob_err *err)
{
    (void)state;
    (void)m;
    return ob_fail(err, OB_EINVAL,
                   "'sisa' needs an original in shards, the folder that 'oubli train --sisa S,R' "
                   "makes, and is the whole plan ('oubli forget')");
}

const struct ob_method ob_method_sisa = {
    .name = "sisa",
    .title = "retrain only the shards and slices touched",
    .cite = "Bourtoule et al. 2021",
    .formula =
        "training: S shards, each a model of its own; R slices of each, one after the other:\n"
        "          theta_{s,j} = train(theta_{s,j-1}, slices 0 ... j of shard s), 2 E / (R + 1) "
        "epochs\n"
        "forget:   back to theta_{s,j-1}, where j is the first slice with a forgotten example, "
        "and on\n"
        "          from there without them; shards without one stay as they are\n"
        "predict:  the shards' votes, or the mean of their probabilities",
    .differs =
        "The released code does not shuffle, leaves a shard's rest out of the slices' hashes "
        "(so\n"
        "that deleting it does nothing), does not save the optimiser's state with a slice, so\n"
        "that a run that was interrupted ends otherwise, and does not seed the weights. Here "
        "examples are dealt out once, by the seed; slices end "
        "at\n"
        "j n / R; optimiser and random state are kept with each slice: what comes out is byte "
        "for\n"
        "byte what training without the forgotten examples gives. There batches keep their\n"
        "places and shrink with deletions, at a constant rate without momentum; here each epoch\n"
        "shuffles what is left, by the recipe of any training, whose schedule spans all slices.\n"
        "There shards can count by their size, and some be left out; here all count alike.",
    .limits = "It needs an original in shards, and cannot be a step of a plan. Each shard learns "
              "from its own\n"
              "examples alone, and forgotten examples in every shard cost up to a whole training.",
    .elsewhere = "shards S and slices R of each, 1 to 1000, and the recipe: 'oubli train --sisa "
                 "S,R', which makes "
                 "the folder",
    .needs = OB_NEED_RETAIN | OB_FROM_SCRATCH | OB_NEED_SHARDS,
    .check = check,
};
