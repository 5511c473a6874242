#!/usr/bin/env bash
# Starts a training in a Slurm job as a step of its own: --config train='bash workflow/launch.sh'
#
# The first process of a pipeline's job is Snakemake. Slurm's SIGTERM (time limit, preemption, scancel) reaches that one
# alone where cgroups hold the processes, and Snakemake only waits. Here siamla is the first process of its step, so it
# saves its state and ends. With several GPUs or nodes torchrun is, with one process for each GPU.
#
# The names of nodes are asked of Slurm here, in the job: the plugin runs Snakemake in a step that has only the first.
set -euo pipefail

job=$SLURM_JOB_ID
cpus=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-1}
ask() {  # a controller that is away for a minute ends no training
  for _ in 1 2 3 4 5 6; do squeue --noheader --jobs "$job" --format "$1" && return; sleep 10; done
  return 1
}
nodes=$(ask %D | tr -d ' ')
first=$(scontrol show hostnames "$(ask %N)" | head -n 1)
address=$(scontrol show node "$first" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
port=$((20000 + job % 10000))  # two trainings may share a node

# what the plugin's step has set would bind this one to it
for name in $(compgen -e | grep -E '^(SLURM|SRUN)_' | grep -v '^SLURM_CONF$'); do unset "$name"; done

step=(srun --jobid "$job" --overlap --nodes "$nodes" --ntasks "$nodes" --ntasks-per-node 1
  --cpus-per-task "$cpus" --cpu-bind none)
if [ "$nodes" = 1 ] && [ "$gpus" = 1 ]; then
  exec "${step[@]}" siamla train run "$@"
fi
exec "${step[@]}" torchrun --nnodes "$nodes" --nproc-per-node "$gpus" --rdzv-backend c10d \
  --rdzv-endpoint "$address:$port" --rdzv-id "$job" --shutdown-timeout 50 --no-python siamla train run "$@"
