local function start()
  return {
    { x = 0, y = 0, z = 0, vx = 0, vy = 0, vz = 0, mass = 39.47841760435743 },
    { x = 4.841431442464721, y = -1.1603200440274284, z = -0.10362204447112311,
      vx = 0.606326392995832, vy = 2.81198684491626, vz = -0.02521836165988763, mass = 0.03769367487038949 },
    { x = 8.34336671824458, y = 4.124798564124305, z = -0.4035234171143214,
      vx = -1.0107743461787924, vy = 1.8256623712304119, vz = 0.008415761376584154, mass = 0.011286326131968767 },
    { x = 12.894369562139131, y = -15.111151401698631, z = -0.22330757889265573,
      vx = 1.0827910064415354, vy = 0.8687130181696082, vz = -0.010832637401363636, mass = 0.0017237240570597112 },
    { x = 15.379697114850917, y = -25.919314609987964, z = 0.17925877295037118,
      vx = 0.979090732243898, vy = 0.5946989986476762, vz = -0.034755955550407806, mass = 0.0020336868699246304 },
  }
end
function main()
  local b = start()
  local n = #b
  local dt = 0.01
  local sqrt = math.sqrt
  for step = 1, 20000 do
    for i = 1, n do
      for j = i + 1, n do
        local dx = b[i].x - b[j].x
        local dy = b[i].y - b[j].y
        local dz = b[i].z - b[j].z
        local d2 = dx * dx + dy * dy + dz * dz
        local mag = dt / (d2 * sqrt(d2))
        local mi = b[i].mass * mag
        local mj = b[j].mass * mag
        b[i].vx = b[i].vx - dx * mj
        b[i].vy = b[i].vy - dy * mj
        b[i].vz = b[i].vz - dz * mj
        b[j].vx = b[j].vx + dx * mi
        b[j].vy = b[j].vy + dy * mi
        b[j].vz = b[j].vz + dz * mi
      end
    end
    for i = 1, n do
      b[i].x = b[i].x + dt * b[i].vx
      b[i].y = b[i].y + dt * b[i].vy
      b[i].z = b[i].z + dt * b[i].vz
    end
  end
  return math.floor(b[1].x * 1000000000000) .. " " .. math.floor(b[5].vz * 1000000000000)
end
