local leaf = { tag = "leaf" }
local function grow(depth)
  if depth == 0 then return leaf end
  return { tag = "node", left = grow(depth - 1), right = grow(depth - 1) }
end
local function count(tree)
  if tree.tag == "node" then return 1 + count(tree.left) + count(tree.right) end
  return 1
end
function main()
  local total = 0
  for i = 1, 8 do total = total + count(grow(14)) end
  return tostring(total)
end
