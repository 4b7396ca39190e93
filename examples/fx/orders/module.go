package orders

import (
	"go.uber.org/fx"

	perchfx "github.com/perch-go/perch/contrib/fx"
)

// Module is what Nest would write as
//
//	@Module({
//	  imports: [ChatModule],
//	  providers: [OrdersService, OrdersGateway],
//	  controllers: [OrdersController],
//	})
var Module = fx.Module("orders",
	fx.Provide(NewService, NewController),
	perchfx.Provide(NewGateway),
)
