#!/bin/sh
# A run without an input file: all of it on the command line.
exec topicloom run \
    --instruction "Questions about gardening, with answers for beginners" \
    --topics "vegetables,fruit trees,balconies" -n 20 \
    --field question --field answer --field season \
    --model openai/gpt-4o-mini --temperature 0.9 --records-per-request 2 \
    --set 'filters.answer.min_chars=10' \
    -o gardening.jsonl "$@"
