function main()
  local pieces = {}
  for i = 0, 299999 do
    pieces[#pieces + 1] = "item " .. i .. ";"
  end
  local text = table.concat(pieces)
  local parts = {}
  for part in (text .. ";"):gmatch("([^;]*);") do parts[#parts + 1] = part end
  return #text .. " " .. #parts .. " " .. text:sub(1000001, 1000020)
end
