-- For the load generator wrk: POSTs the files named after `--`, each thread one after the other.
-- The last line it prints: requests a second, p50 and p99 in microseconds, calls not answered with 2xx.
local bodies, turn = {}, 0

function init(args)
  for _, name in ipairs(args) do
    local file = assert(io.open(name, "rb"))
    local path = name:match("@(.-)%.json$")
    table.insert(bodies, wrk.format("POST", path and "/cds-services/" .. path or nil,
      {["Content-Type"] = "application/json"}, file:read("a")))
    file:close()
  end
end

function request()
  turn = turn % #bodies + 1
  return bodies[turn]
end

function done(summary, latency, _)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format("%f %f %f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(99), failed))
end
