-- Posts the payments of a file, one JSON body per line, and keeps the id of each that is answered with 201.
--
--   wrk ... -s payments.lua URL -- BODIES FIRST COUNT IDS
--
-- BODIES is the file, FIRST and COUNT say which of its lines (from 0), IDS is where the ids go. The last line printed
-- is JSON: requests by answer, microseconds by quantile, errors of the sockets. Only 201 counts as done.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local first, count, number = tonumber(args[2]), tonumber(args[3]), 0
  bodies, at, created, ids, others = {}, 0, 0, {}, {}
  ids_file = args[4]
  for line in io.lines(args[1]) do
    if number >= first + count then break end
    if number >= first then bodies[#bodies + 1] = line end
    number = number + 1
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end

function response(status, headers, body)
  if status == 201 then
    created = created + 1
    ids[#ids + 1] = string.match(body, '"transaction_id":"([^"]+)"')
  else
    others[tostring(status)] = (others[tostring(status)] or 0) + 1
  end
end

function done(summary, latency, requests)
  local total, other = 0, {}
  local file = io.open(threads[1]:get("ids_file"), "w")
  for _, thread in ipairs(threads) do
    total = total + thread:get("created")
    for status, count in pairs(thread:get("others")) do
      other[#other + 1] = string.format('"%s": %d', status, count)
    end
    for _, id in ipairs(thread:get("ids")) do file:write(id, "\n") end
  end
  file:close()
  local errors = summary.errors
  io.write(string.format(
    '{"created": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d, "max_us": %d, '
      .. '"others": {%s}, "socket_errors": %d}\n',
    total, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
    table.concat(other, ", "), errors.connect + errors.read + errors.write + errors.timeout))
end
