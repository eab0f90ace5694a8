#!/usr/bin/env bash
# Proves the order of the rooms: a file includes only its own room and rooms to its left. Also that
# headers which take seconds to compile stay out of our headers, that what only x86 has stays in
# files which are named for it, and that no file grows past 400 lines. Prints each offender; exit 1
# if there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rooms=(kernels base input layer profile schedule plan stage pipeline output commands)
heavy='nlohmann/json\.hpp|boost/log|CLI/'
longest=400
offences=0

offend() {
  echo "$*"
  offences=$((offences + 1))
}

position() { # of a room in the order; empty if there is no such room
  local i
  for i in "${!rooms[@]}"; do
    if [ "${rooms[$i]}" = "$1" ]; then echo "$i"; fi
  done
}

room_of() { # src/input/job.cpp -> input, kernels/cpu/math.cpp -> kernels
  local path=${1#src/}
  echo "${path%%/*}"
}

check_order() {
  local file=$1 from to included
  from=$(position "$(room_of "$file")")
  if [ -z "$from" ]; then
    offend "$file: not in a room"
    return
  fi
  while IFS= read -r included; do
    to=$(position "${included%%/*}")
    if [ -z "$to" ]; then
      offend "$file: includes \"$included\", which names no room"
    elif [ "$to" -gt "$from" ]; then
      offend "$file: includes \"$included\" from a room to its right"
    elif [ ! -e "$included" ] && [ ! -e "src/$included" ]; then
      offend "$file: includes \"$included\", which does not exist"
    fi
  done < <(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file")
}

mapfile -t sources < <(git ls-files 'kernels/*.cpp' 'kernels/*.hpp' 'kernels/*.cu' \
  'kernels/*.cuh' 'src/*/*.cpp' 'src/*/*.hpp')
for file in "${sources[@]}"; do check_order "$file"; done

# A header that only one file includes is a part of that file, and may be as heavy as it.
while IFS= read -r header; do
  users=$(git grep -lF "#include \"${header#src/}\"" -- 'kernels' 'src' 'tests' | wc -l)
  if [ "$users" -gt 1 ]; then offend "$header: $users files include it, and it is slow to compile"; fi
done < <(git grep -lE "^ *# *include *[<\"]($heavy)" -- 'kernels/*.hpp' 'src/*.hpp' || true)

while IFS= read -r file; do
  room=$(echo "$file" | cut -d/ -f2)
  if [[ -z "$(position "$room")" && ! $room =~ ^(mpi|program|emulated_gpu|netns|slurm)$ ]]; then
    offend "$file: tests/ mirrors the rooms, beside mpi/, program/, emulated_gpu/, netns/ and slurm/"
  fi
done < <(git ls-files 'tests/*_test.cpp')

while IFS= read -r file; do
  offend "$file: for x86 only; name it _x86, or write it for any CPU"
done < <(git grep -lE '(mmintrin|immintrin|cpuid)\.h>|target_clones|gnu::target' -- '*.cpp' '*.hpp' |
  grep -vE '_(x86|avx2|avx512|amx)\.[ch]pp$')

while IFS= read -r file; do
  lines=$(wc -l <"$file")
  if [ "$lines" -gt "$longest" ]; then offend "$file: $lines lines, at most $longest"; fi
done < <(git ls-files '*.cpp' '*.hpp' '*.cu' '*.cuh' '*.py' '*.sh' '*CMakeLists.txt')

echo "${#sources[@]} files in ${#rooms[@]} rooms, $offences offences"
[ "$offences" = 0 ] && [ "${#sources[@]}" -gt 0 ]
