local function num(n) return { tag = "num", n = n } end
local function var(name) return { tag = "var", name = name } end
local function add(a, b) return { tag = "add", a = a, b = b } end
local function mul(a, b) return { tag = "mul", a = a, b = b } end
local function neg(a) return { tag = "neg", a = a } end
local function ifzero(c, a, b) return { tag = "ifzero", c = c, a = a, b = b } end
local fmod = math.fmod

local function eval(x, e)
  local tag = e.tag
  if tag == "num" then return e.n
  elseif tag == "var" then return x
  elseif tag == "add" then return eval(x, e.a) + eval(x, e.b)
  elseif tag == "mul" then return fmod(eval(x, e.a) * eval(x, e.b), 1000003)
  elseif tag == "neg" then return 0 - eval(x, e.a)
  elseif tag == "ifzero" then
    if eval(x, e.c) == 0 then return eval(x, e.a) else return eval(x, e.b) end
  end
end
local function program(depth)
  if depth == 0 then return var("x") end
  if depth % 3 == 0 then return ifzero(neg(num(depth % 2)), program(depth - 1), add(program(depth - 1), num(depth))) end
  if depth % 3 == 1 then return add(mul(program(depth - 1), num(depth)), neg(program(depth - 1))) end
  return add(program(depth - 1), mul(num(2), program(depth - 1)))
end
function main()
  local e = program(12)
  local sum = 0
  for i = 0, 199 do sum = fmod(sum + eval(i, e), 1000003) end
  return string.format("%d", sum)
end
