-- Was anything counted of that market or channel?
SELECT CASE $scope
    WHEN 'market' THEN EXISTS (FROM market_minute WHERE market_id = $scope_name)
    WHEN 'channel' THEN EXISTS (FROM nation_minute WHERE channel = $scope_name)
    ELSE false
END AS counted
