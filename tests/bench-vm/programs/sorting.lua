local function numbers(n)
  local out = {}
  local seed = 42
  for i = 1, n do
    seed = (seed * 3877 + 29573) % 139968
    out[i] = seed
  end
  return out
end
local function check(a)
  local sum = 0
  for i = 1, #a, 1000 do sum = sum * 31 % 1000003 + a[i] end
  return sum
end
local function quick(low, high, given)
  local a = table.move(given, 1, #given, 1, {})
  local stack = { { low, high } }
  while #stack > 0 do
    local top = table.remove(stack)
    local i, j = top[1], top[2]
    local pivot = a[(i + j) // 2 + 1]
    while i <= j do
      while a[i + 1] < pivot do i = i + 1 end
      while a[j + 1] > pivot do j = j - 1 end
      if i <= j then
        local swapped = a[i + 1]
        a[i + 1] = a[j + 1]
        a[j + 1] = swapped
        i = i + 1
        j = j - 1
      end
    end
    if top[1] < j then stack[#stack + 1] = { top[1], j } end
    if i < top[2] then stack[#stack + 1] = { i, top[2] } end
  end
  return a
end
function main()
  local n = 100000
  local a = numbers(n)
  local byLibrary = table.move(a, 1, n, 1, {})
  table.sort(byLibrary, function(x, y) return x > y end)
  local byHand = quick(0, n - 1, a)
  return check(byLibrary) .. " " .. check(byHand)
end
