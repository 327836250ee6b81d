local function entry(i, j) return 1 / ((i + j) * (i + j + 1) / 2 + i + 1) end
local function times(v)
  local n = #v
  local out = {}
  for i = 0, n - 1 do
    local sum = 0
    for j = 0, n - 1 do sum = sum + entry(i, j) * v[j + 1] end
    out[i + 1] = sum
  end
  return out
end
local function timesTransposed(v)
  local n = #v
  local out = {}
  for i = 0, n - 1 do
    local sum = 0
    for j = 0, n - 1 do sum = sum + entry(j, i) * v[j + 1] end
    out[i + 1] = sum
  end
  return out
end
function main()
  local n = 160
  local u = {}
  for i = 1, n do u[i] = 1 end
  local v = u
  for k = 1, 10 do
    v = timesTransposed(times(u))
    u = timesTransposed(times(v))
  end
  local vBv, vv = 0, 0
  for i = 1, n do
    vBv = vBv + u[i] * v[i]
    vv = vv + v[i] * v[i]
  end
  return tostring(math.floor(math.sqrt(vBv / vv) * 1000000000))
end
