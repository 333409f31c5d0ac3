# lib.sh - read before every cmd: a tiny data set, quick trainings, small checks.

D=synth:longtail,train=240,test=60,classes=3
oubli() { "$OUBLI" "$@"; }
quietly() { "$OUBLI" "$@" --quiet >/dev/null; }

skip() {
    echo "skipped: $*" >&2
    exit 77
}
# need_mpi: or the case is skipped. mpirun runs as root too, on few cores too, and adds no words of its own
need_mpi() {
    command -v mpirun >/dev/null || skip "there is no mpirun here"
    [ -x "$OUBLI-mpi" ] || skip "the program was built without MPI"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_orte_execute_quiet=1
}
# ranks N COMMAND...: as many processes of the program for one job
ranks() {
    n=$1
    shift
    mpirun -n "$n" "$OUBLI-mpi" "$@"
}
# gone PID...: waits until they are, as the ranks of a job are that lost its mpirun
gone() {
    for pid; do
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            case $(ps -o stat= -p "$pid") in '' | Z*) break ;; esac
            sleep 0.5
        done
    done
}

# train NAME [options]: NAME.safetensors, in a moment
train() {
    name=$1
    shift
    quietly train --data $D --arch mlp,width=0.1 --epochs 2 --batch 32 --threads 1 -o "$name.safetensors" "$@"
}
# forget_set: ids.txt, 30 examples out of three levels, and the scores s.npy of m.safetensors
forget_set() {
    quietly score confidence --data $D --model m.safetensors -o s.npy &&
        quietly select --data $D --model m.safetensors --scores s.npy --level mix --size 30 -o ids.txt
}
# keys FILE: the keys of a JSON object with their types, sorted; fails unless it is one JSON value
keys() {
    jq -r 'paths(type != "object" and type != "array") as $p | getpath($p) as $v |
           [($p | map(if type == "number" then "[]" else . end) | join(".")), ($v | type)] | join(" ")' \
        "$1" | sort -u
}
# pictures DIR: two classes of two training and one test picture, 8 x 8, black and grey
pictures() {
    black=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC
    grey=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mM8wQABTAwUMQA6AADYbMmlZgAAAABJRU5ErkJggg==
    for part in train test; do
        mkdir -p "$1/$part/black" "$1/$part/grey"
        for i in 1 2; do
            [ $part$i != test2 ] || continue
            echo $black | base64 -d >"$1/$part/black/$i.png"
            echo $grey | base64 -d >"$1/$part/grey/$i.png"
        done
    done
}
# twins DIR: grain of 16 x 16, three classes of 20; training images 50 to 52 are those of 0 to 2, test image 0 of 9 is
# training image 3
twins() {
    mkdir -p "$1"
    awk 'BEGIN { srand(1); for (i = 0; i < 65 * 256; i++) printf "%c", 32 + int(95 * rand()) }' >"$1/grain"
    grains() { tail -c +$(($2 * 256 + 1)) "$1/grain" | head -c $(($3 * 256)); }
    { printf '\0\0\010\003\0\0\0\074\0\0\0\020\0\0\0\020'; grains "$1" 0 50; grains "$1" 0 3; grains "$1" 50 7; } >"$1/train-images-idx3-ubyte"
    { printf '\0\0\010\003\0\0\0\011\0\0\0\020\0\0\0\020'; grains "$1" 3 1; grains "$1" 57 8; } >"$1/t10k-images-idx3-ubyte"
    { printf '\0\0\010\001\0\0\0\074'; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do printf '\0\001\002'; done; } >"$1/train-labels-idx1-ubyte"
    { printf '\0\0\010\001\0\0\0\011\0\001\002\0\001\002\0\001\002'; } >"$1/t10k-labels-idx1-ubyte"
}
