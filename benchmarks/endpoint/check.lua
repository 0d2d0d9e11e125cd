-- For wrk: holds every answer against the one that is expected, and tells the figures as JSON.
-- Arguments: the status, and the path of a file with the body.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  status = tonumber(args[1])
  local file = assert(io.open(args[2], "rb"))
  body = file:read("*a")
  file:close()
  wrong, example = 0, ""
end

function response(got, _, text)
  if got ~= status or text ~= body then
    wrong = wrong + 1
    example = got .. " " .. text
  end
end

function done(summary, _, _)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local count = 0
  for _, thread in ipairs(threads) do
    count = count + thread:get("wrong")
    if thread:get("wrong") > 0 then
      io.stderr:write(thread:get("example"):sub(1, 500), "\n")
    end
  end
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "wrong": %d, "lost": %d}\n',
    summary.requests, summary.duration / 1e6, count, lost
  ))
end
