local function map(f, a)
  local out = {}
  for i, x in ipairs(a) do out[i] = f(x) end
  return out
end
local function filter(p, a)
  local out = {}
  for _, x in ipairs(a) do if p(x) then out[#out + 1] = x end end
  return out
end
local function reduce(f, start, a)
  local value = start
  for _, x in ipairs(a) do value = f(x, value) end
  return value
end
function main()
  local a = {}
  for i = 0, 999999 do a[i + 1] = i end
  local mapped = map(function(x) return x * 3 + 1 end, a)
  local kept = filter(function(x) return x % 2 == 0 end, mapped)
  return tostring(reduce(function(x, sum) return x + sum end, 0, kept))
end
